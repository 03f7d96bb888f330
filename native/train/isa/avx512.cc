// Training kernels for the variants of ../../isa/ whose name begins with avx512 (same flags).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // false alarms inside g++ 12's own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include "../../isa/vec_avx512.h"
#define GPTOSS_ISA_NAME "avx512"
#define GPTOSS_ISA_TABLE avx512_train_kernels
#include "../kernels/all.inl"
