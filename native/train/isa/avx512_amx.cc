// Training kernels for the variant of ../../isa/ that has AMX tiles (same flags): products on tiles, the rest as avx512; once
// with products that are rounded to bf16, once with float32's exactness.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // false alarms inside g++ 12's own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include "../../isa/vec_avx512.h"
#define GPTOSS_ISA_NAME "avx512-amx"
#define GPTOSS_TRAIN_AMX 1
#define GPTOSS_TRAIN_SPACE rounded
#define GPTOSS_TRAIN_PARTS 1
#include "../kernels/all.inl"
#undef GPTOSS_TRAIN_SPACE
#undef GPTOSS_TRAIN_PARTS
#undef GPTOSS_TRAIN_ROUNDED
#define GPTOSS_ISA_TABLE avx512_amx_train_kernels
#define GPTOSS_TRAIN_SPACE exact
#define GPTOSS_TRAIN_PARTS 3
#define GPTOSS_TRAIN_ROUNDED &rounded::kTable
#include "../kernels/all.inl"
