// The variant for x86-64 with AVX-512 VNNI, VBMI and BF16 (flags: those of avx512.cc and -mavx512vnni -mavx512vbmi
// -mavx512bf16).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // false alarms inside g++ 12's own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include "bf16_avx512.h"
#include "vec_avx512.h"
#define GPTOSS_INT8_KERNELS "int8_vnni.inl"
#define GPTOSS_ISA_NAME "avx512-vnni"
#define GPTOSS_ISA_TABLE avx512_vnni_kernels
#include "../kernels/all.inl"
