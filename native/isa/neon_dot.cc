// The variant for ARM processors with the dot product (flags: -march=armv8.2-a+dotprod): Cortex-A76, Neoverse N1, Apple M1.
#include "vec_neon.h"
#define GPTOSS_NEON_DOT 1
#define GPTOSS_INT8_KERNELS "int8_neon.inl"
#define GPTOSS_ISA_NAME "neon-dot"
#define GPTOSS_ISA_TABLE neon_dot_kernels
#include "../kernels/all.inl"
