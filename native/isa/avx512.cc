// The variant for x86-64 with AVX-512 F, BW, VL and DQ (flags: the AVX2 ones and -mavx512f -mavx512bw -mavx512vl
// -mavx512dq).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // false alarms inside g++ 12's own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include "vec_avx512.h"
#define GPTOSS_INT8_KERNELS "int8_avx2.inl"
#define GPTOSS_ISA_NAME "avx512"
#define GPTOSS_ISA_TABLE avx512_kernels
#include "../kernels/all.inl"
