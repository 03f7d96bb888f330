// The variant for x86-64 with AVX-512 F, BW, VL and DQ (flags: the AVX2 ones and -mavx512f -mavx512bw -mavx512vl
// -mavx512dq).
#include "vec_avx512.h"
#define GPTOSS_ISA_NAME "avx512"
#define GPTOSS_ISA_TABLE avx512_kernels
#include "../kernels/all.inl"
