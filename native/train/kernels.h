// The native trainer's list of kernels, one table per ISA variant, all filled from the same kernels/*.inl over the Vec of
// ../isa/vec_*.h. Unlike the inference kernels these run on one thread each: a shard of the batch is computed by one
// worker from embedding to gradients (shard.cc), so sums have one order on any number of threads. float32 throughout
// (but see `rounded`);
// sums over rows and columns in fixed order. Arguments were checked before: kernels cannot fail and do not allocate.
// Maths: src/backend/reference/backward.ts, the oracle. Next: kernels/gemm.inl, shard.cc.
#pragma once
#include <cstddef>
#include <cstdint>

namespace gptoss {

// C[m, n] = A[m, k] B[k, n] + bias, or C += A B. Of A's and of B's two strides one is 1; C's rows are contiguous.
struct Gemm {
  float* c; int64_t ldc;
  const float* a; int64_t a_row, a_k;
  const float* b; int64_t b_k, b_n;
  int32_t m, n, k;
  const float* bias;  // [n] or null; not with add
  bool add;
  float* scratch;     // gemm_scratch() floats
};

// Causal attention inside documents: row r of a document sees rows max(0, r - window + 1) … r of it, and a sink.
struct TrainAttention {
  const float* qkv;   // [rows, (heads + 2 kv_heads) * head_dim], rotated: q heads, then k, then v
  float* out;         // [rows, heads * head_dim]
  float* lse;         // [rows, heads]: log of the sum over keys and sink
  const float* sinks; // [heads]
  int32_t heads, kv_heads, head_dim, window;  // window 0: all
  const int32_t* starts;                      // [documents + 1], the last is rows
  int32_t documents;
  float* scratch;     // attention_scratch() floats
  // Backward only; dqkv is overwritten, dsinks added to.
  const float* dout;
  float* dqkv;
  float* dsinks;
};

struct AdamWStep {
  float learning_rate, beta1, beta2, eps, decay;  // decay: of these values, 0 for none
  float scale;                                    // of the gradient (clipping)
  float correction1, correction2;                 // 1 - beta^step
};

struct TrainKernels {
  const char* name;
  void (*gemm)(const Gemm&);
  int64_t (*gemm_scratch)(int32_t m);
  void (*rms_norm)(float* y, const float* x, const float* gain, int32_t rows, int32_t width, float eps);
  // dx += …, dgain += …
  void (*rms_norm_back)(float* dx, float* dgain, const float* dy, const float* x, const float* gain, int32_t rows,
                        int32_t width, float eps);
  // In place, the first `heads` heads of each row; angles [position, head_dim]: cosines, then sines, times the scale.
  void (*rope)(float* x, int64_t stride, int32_t heads, int32_t head_dim, const float* angles, const int32_t* positions,
               int32_t rows, bool back);
  void (*attention)(const TrainAttention&);
  void (*attention_back)(const TrainAttention&);
  int64_t (*attention_scratch)(int32_t heads, int32_t kv_heads, int32_t head_dim, int32_t longest);
  void (*swiglu)(float* h, const float* u, int32_t rows, int32_t inner, float alpha, float limit);
  // du from dh (times scale[row]); du may be u.
  void (*swiglu_back)(float* du, const float* u, const float* dh, const float* scale, int32_t rows, int32_t inner,
                      float alpha, float limit);
  void (*gather)(float* y, const float* x, const int32_t* index, int32_t rows, int32_t width);
  // y[r] (+)= Σ_i scale[r, i] x[slots[r, i]], i ascending; scale null: 1.
  void (*combine)(float* y, const float* x, const int32_t* slots, const float* scale, int32_t rows, int32_t k,
                  int32_t width, bool add);
  // y[r] = x[r] * scale[r]
  void (*scale_rows)(float* y, const float* x, const float* scale, int32_t rows, int32_t width);
  float (*dot)(const float* a, const float* b, int32_t n);
  // db[c] += Σ_r scale[r] dy[r, c]; scale null: 1.
  void (*column_sums)(float* db, const float* dy, const float* scale, int32_t rows, int32_t width);
  // In place: logits become weight · (p - onehot(target)); logp and entropy of each row.
  void (*cross_entropy)(float* logits, const int32_t* targets, const float* weights, float* logp, float* entropy,
                        int32_t rows, int32_t vocab);
  void (*add)(float* y, const float* x, int64_t n);
  double (*squares)(const float* x, int64_t n);
  void (*adamw)(float* values, const float* gradient, float* first, float* second, int64_t n, const AdamWStep&);
  // Groups of 32 to the nearest MXFP4 values and back; scales as packNearest in src/formats/mxfp4.ts.
  void (*fake_quantise)(float* y, const float* x, int64_t groups);
  // The same with products whose factors are rounded to bf16 first, sums in float32; null where that is not faster.
  const TrainKernels* rounded;
};

const TrainKernels* scalar_train_kernels();
const TrainKernels* avx2_train_kernels();
const TrainKernels* avx512_train_kernels();
const TrainKernels* avx512_amx_train_kernels();
const TrainKernels* neon_train_kernels();

// Those that go with a variant of usable_kernels(), by its name ("avx512-vnni" has those of "avx512"); null: unknown.
const TrainKernels* train_kernels(const char* variant);

}  // namespace gptoss
