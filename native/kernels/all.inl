// All kernels over the Vec of one ISA, and their table. isa/<name>.cc includes its vec_<name>.h, defines
// GPTOSS_ISA_NAME and GPTOSS_ISA_TABLE, then includes this file, once. Everything sits in an anonymous namespace and no
// `std` templates are instantiated here: else the linker may keep one unit's AVX-512 copy of an inline function for
// all of them.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../kernels.h"
#include "../threads.h"

namespace gptoss {
namespace {

#include "exp.inl"
#include "decode.inl"
#include "quantise.inl"
#include "rows.inl"
#include "attention.inl"
#include "route.inl"
#include "rowdot.inl"
#include "moe_plan.inl"
#if defined(GPTOSS_INT8_KERNELS)
#if defined(__aarch64__) || defined(_M_ARM64)
#include "unpack_neon.inl"
#else
#include "unpack.inl"
#endif
#include GPTOSS_INT8_KERNELS
#include "int8.inl"
#else
#include "int8_none.inl"
#endif
#include "linear.inl"
#include "moe.inl"
#include "probe.inl"

constexpr Kernels kTable = {
    GPTOSS_ISA_NAME, embed, rms_norm, linear, rope_cache, attention, route, moe_up, moe_down, gather_rows, moe_down_in_parts,
    linear_scratch, moe_up_scratch, moe_down_scratch, attention_scratch,
    probe,
};

}  // namespace

const Kernels* GPTOSS_ISA_TABLE() { return &kTable; }

}  // namespace gptoss
