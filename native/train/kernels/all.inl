// All training kernels over the Vec of one ISA, and their table; see ../../kernels/all.inl for how units are made. A unit may
// include this twice, for a table whose products are rounded (GPTOSS_TRAIN_SPACE names where each lives).
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../kernels.h"

#ifndef GPTOSS_TRAIN_SPACE
#define GPTOSS_TRAIN_SPACE exact
#endif
#ifndef GPTOSS_TRAIN_ROUNDED
#define GPTOSS_TRAIN_ROUNDED nullptr
#endif

namespace gptoss {
namespace {
namespace GPTOSS_TRAIN_SPACE {

#include "../../kernels/exp.inl"
#if defined(GPTOSS_TRAIN_AMX)
#include "transpose_avx512.inl"
#include "gemm_amx.inl"
#else
#include "gemm.inl"
#endif
#include "rows.inl"
#include "attention.inl"
#include "moe.inl"
#include "fp4.inl"

constexpr TrainKernels kTable = {
    GPTOSS_ISA_NAME, gemm, gemm_scratch, rms_norm, rms_norm_back, rope, attention, attention_back, attention_scratch,
    swiglu, swiglu_back, gather, combine, scale_rows, dot, column_sums, cross_entropy, add, squares, adamw, fake_quantise,
    GPTOSS_TRAIN_ROUNDED,
};

}  // namespace GPTOSS_TRAIN_SPACE
}  // namespace

#if defined(GPTOSS_ISA_TABLE)
const TrainKernels* GPTOSS_ISA_TABLE() { return &GPTOSS_TRAIN_SPACE::kTable; }
#endif

}  // namespace gptoss
