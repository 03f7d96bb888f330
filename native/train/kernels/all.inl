// All training kernels over the Vec of one ISA, and their table; see ../../kernels/all.inl for how units are made.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../kernels.h"

namespace gptoss {
namespace {

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
};

}  // namespace

const TrainKernels* GPTOSS_ISA_TABLE() { return &kTable; }

}  // namespace gptoss
