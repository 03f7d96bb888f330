// The variant for x86-64 with AVX2 and AVX-VNNI (flags: the AVX2 ones and -mavxvnni): one instruction for four products
// of bytes. Processors without AVX-512 have it: Alder Lake and later, Zen 5.
#include "vec_avx2.h"
#define GPTOSS_AVX_VNNI 1
#define GPTOSS_INT8_KERNELS "int8_avx2.inl"
#define GPTOSS_ISA_NAME "avx2-vnni"
#define GPTOSS_ISA_TABLE avx2_vnni_kernels
#include "../kernels/all.inl"
