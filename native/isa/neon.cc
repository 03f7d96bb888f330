// The variant for 64-bit ARM, any processor: NEON is part of the architecture.
#include "vec_neon.h"
#define GPTOSS_INT8_KERNELS "int8_neon.inl"
#define GPTOSS_ISA_NAME "neon"
#define GPTOSS_ISA_TABLE neon_kernels
#include "../kernels/all.inl"
