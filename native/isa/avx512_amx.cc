// The variant for x86-64 with AMX tiles: avx512_vnni.cc for few rows, tiles of bf16 for many (flags: those of
// avx512_vnni.cc and -mamx-tile -mamx-bf16 -mamx-int8). The process must have asked the kernel for tiles: dispatch.cc.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // false alarms inside g++ 12's own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include "bf16_avx512.h"
#include "vec_avx512.h"
#define GPTOSS_AMX 1
#define GPTOSS_INT8_KERNELS "int8_vnni.inl"
#define GPTOSS_ISA_NAME "avx512-amx"
#define GPTOSS_ISA_TABLE avx512_amx_kernels
#include "../kernels/all.inl"
