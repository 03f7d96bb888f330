// Training kernels for the variants of ../../isa/ whose name begins with neon (same flags).
#include "../../isa/vec_neon.h"
#define GPTOSS_VEC_NEON 1
#define GPTOSS_ISA_NAME "neon"
#define GPTOSS_ISA_TABLE neon_train_kernels
#include "../kernels/all.inl"
