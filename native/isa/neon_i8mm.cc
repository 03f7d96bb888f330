// The variant for ARM processors with the dot product, 8-bit matrix products and bf16 (flags:
// -march=armv8.2-a+dotprod+i8mm+bf16): Neoverse V1 and N2, Cortex-X2, Apple M2, and all of Armv8.6.
#include "bf16_neon.h"
#define GPTOSS_NEON_DOT 1
#define GPTOSS_NEON_I8MM 1
#define GPTOSS_INT8_KERNELS "int8_neon.inl"
#define GPTOSS_ISA_NAME "neon-i8mm"
#define GPTOSS_ISA_TABLE neon_i8mm_kernels
#include "../kernels/all.inl"
