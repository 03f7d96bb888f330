// The variant for x86-64 with AVX2, FMA and F16C (flags: -mavx2 -mfma -mf16c).
#include "vec_avx2.h"
#define GPTOSS_INT8_KERNELS "int8_avx2.inl"
#define GPTOSS_ISA_NAME "avx2"
#define GPTOSS_ISA_TABLE avx2_kernels
#include "../kernels/all.inl"
