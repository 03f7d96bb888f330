// The variant for any machine: plain loops, no intrinsics. Also the one that tests compare the others with.
#include "vec_scalar.h"
#define GPTOSS_ISA_NAME "scalar"
#define GPTOSS_ISA_TABLE scalar_kernels
#include "../kernels/all.inl"
