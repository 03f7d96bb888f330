// The contract of the native side: what every ISA variant implements, with the maths of each op.
// One table of pointers per variant (isa/*.cc), all filled from the same kernels/*.inl; dispatch.cc picks one.
// A kernel that is not in this table does not exist.
//
// Execution is SPMD: the executor (program.cc) calls each op on every worker of the team with the same arguments. An op
// shares its work with `worker.chunks(n, fn)` (dynamic, ends with a barrier) and may use `worker.barrier()` between
// phases; it must end with a barrier, as chunks() does, because the executor adds none. Arguments were validated when
// the program was recorded: kernels cannot fail, do not allocate, print, throw or abort. All rows are contiguous
// float32 with the given width.
//
// exact: float32 throughout, weights decoded exactly; every dot product runs over k in 16 interleaved partial sums
//   (lane = k mod 16, fused multiply-add, ascending k) that are added by one fixed tree. So a row's bits do not depend on
//   other rows, tiling or threads.
// fast: activations int8 per 32 values (against MXFP4, Q8_0 and the 4/5-bit types) or bf16 (against bf16, f16, f32).
#pragma once
#include <cstddef>
#include <cstdint>

namespace gptoss {

struct Worker;  // threads.h

// Same order as DTYPES in src/backend/cpu/addon.ts.
enum class DType : int32_t {
  F32, F16, BF16, Q8_0, MXFP4, MXFP4_PAIRS, MXFP4_SPLIT,
  Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL,
};

// See Matrix in src/formats/tensor.ts. Pointers lead into read-only mappings.
struct Matrix {
  DType dtype;
  int32_t experts, rows, cols;
  const uint8_t* data;
  int64_t row_stride, expert_stride;         // bytes
  const uint8_t* scales;                     // MXFP4_SPLIT only
  int64_t scale_row_stride, scale_expert_stride;
  int64_t col_stride;                        // 0 = contiguous row; else bytes between columns (transposed f32/f16/bf16)
  // Where each expert lies instead, when experts come and go (expert_store.h); else null.
  const uint8_t *const *experts_at, *const *scales_at;
};

struct LinearArgs {            // y[r] = W x[r] + b, or y[r] += …
  const Matrix* w;
  const float* bias;           // [w->rows] or null
  const float* x;              // [rows, w->cols]
  float* y;                    // [rows, w->rows]
  int32_t rows;
  bool add, exact;
  uint8_t* scratch;            // shared by the team, linear_scratch() bytes
};

// A half-open range of experts: an op over many rows may be done in parts, with other work between them.
struct Experts {
  int32_t first, end;
};

struct MoeUpArgs {             // for e in `experts`: h[r, i] = swiglu(gate_e x[r] + bg_e, up_e x[r] + bu_e), e = ids[r, i]
  const Matrix *gate, *up;
  const float *gate_bias, *up_bias;  // [experts, intermediate]
  const float* x;              // [rows, hidden]
  const int32_t* ids;          // [rows, k]
  float* h;                    // [rows, k * intermediate]
  int32_t rows, k;
  float alpha, limit;
  bool exact;
  Experts experts;
  uint8_t* scratch;
};

struct MoeDownArgs {           // y[r] += sum_i gates[r, i] * (down_e h[r, i] + b_e), i ascending; see moe_down_in_parts
  const Matrix* down;
  const float* bias;           // [experts, hidden]
  const float* h;
  const int32_t* ids;
  const float* gates;
  float* y;                    // [rows, hidden]
  int32_t rows, k;
  bool exact;
  Experts experts;
  uint8_t* scratch;
};

struct EmbedArgs { const Matrix* table; const int32_t* tokens; float* y; int32_t rows; };
struct RmsNormArgs { const float* x; const float* gain; float* y; int32_t rows, width; float eps; };
struct RouteArgs {             // ids = top k (ties: lower id), gates = softmax over the chosen
  const float* logits; int32_t* ids; float* gates; int32_t rows, experts, k;
  const int32_t* forced;       // [rows, k] or null: take these ids (batch replay)
};
struct GatherRowsArgs { const float* x; const int32_t* index; float* y; int32_t rows, width; };

enum class KvType : int32_t { F32, F16, Q8 };

// One layer's share of a page pool. K (and V) of page p, kv head h, token t (0 … page_tokens-1):
//   base + ((p * kv_heads + h) * page_tokens + t) * token_bytes;  token_bytes = head_dim * sizeof(value),
//   for Q8: head_dim int8 values, then head_dim/32 float16 scales.
struct KvLayer {
  KvType type;
  int32_t kv_heads, head_dim, page_tokens;
  int64_t token_bytes;
  uint8_t *k, *v;
};

struct Sequence {              // SequenceRows of the batch
  int32_t first_row, row_count, position;
  const int32_t* pages;        // of this layer's group
  int32_t write_from;          // positions before it keep what the cache holds
};

struct RopeCacheArgs {         // rotates q and k in place (pairs i, i + head_dim/2), then stores k and v
  float *q, *k; const float* v;
  const float* angles;         // [rows, head_dim]: head_dim/2 cosines, then as many sines, both times the rope's scale
  int32_t heads, rows;
  KvLayer kv;
  const Sequence* sequences; int32_t sequence_count;
};

struct AttentionArgs {
  const float* q;              // [rows, heads * head_dim]
  float* y;
  const float* sinks;          // [heads]
  int32_t heads, window;       // window 0 = all
  KvLayer kv;
  const Sequence* sequences; int32_t sequence_count;
  int32_t rows;
  bool exact;
  uint8_t* scratch;
};

struct Kernels {
  const char* name;            // scalar, avx2, avx2-vnni, avx512, avx512-vnni, neon, …
  void (*embed)(Worker&, const EmbedArgs&);
  void (*rms_norm)(Worker&, const RmsNormArgs&);
  void (*linear)(Worker&, const LinearArgs&);
  void (*rope_cache)(Worker&, const RopeCacheArgs&);
  void (*attention)(Worker&, const AttentionArgs&);
  void (*route)(Worker&, const RouteArgs&);
  void (*moe_up)(Worker&, const MoeUpArgs&);
  void (*moe_down)(Worker&, const MoeDownArgs&);
  void (*gather_rows)(Worker&, const GatherRowsArgs&);
  // Whether moe_down may be called for one range of experts after the other: the sum is then in order of experts. Else it
  // takes all at once. (moe_up always may; with one row both take all.)
  bool (*moe_down_in_parts)(const Matrix& down, bool exact);
  // Bytes of team scratch an op needs for at most `rows` rows.
  size_t (*linear_scratch)(const Matrix& w, int32_t rows, bool exact);
  size_t (*moe_up_scratch)(const Matrix& gate, int32_t rows, int32_t k, bool exact);
  size_t (*moe_down_scratch)(const Matrix& down, int32_t rows, int32_t k, bool exact);
  size_t (*attention_scratch)(int32_t heads, int32_t head_dim, int32_t rows);
  // Does `amount` of one kind of work (probe.h), for its speed: returns bytes read or multiply-adds done, 0 = cannot.
  int64_t (*probe)(int32_t kind, const uint8_t* data, int64_t amount);
};

// Each variant of variants.mjs has such a function; dispatch.h gives those that this processor runs.
const Kernels* scalar_kernels();

}  // namespace gptoss
