// Training kernels for the variants of ../../isa/ whose name begins with avx2 (same flags).
#include "../../isa/vec_avx2.h"
#define GPTOSS_ISA_NAME "avx2"
#define GPTOSS_ISA_TABLE avx2_train_kernels
#include "../kernels/all.inl"
