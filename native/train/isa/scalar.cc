// Training kernels for the variants of ../../isa/ whose name begins with scalar (same flags).
#include "../../isa/vec_scalar.h"
#define GPTOSS_ISA_NAME "scalar"
#define GPTOSS_ISA_TABLE scalar_train_kernels
#include "../kernels/all.inl"
