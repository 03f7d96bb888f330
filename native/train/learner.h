// A model that learns: parameters, their gradients by shard, the optimiser's moments. Host side of kernels.h; TypeScript's
// view of it is src/backend/cpu/learner.ts. Nothing here trusts its caller less than face.cc makes it: shapes, ids and
// indices were checked there.
// Next: shard.cc (one pass, forward and backward), learner.cc (storage, passes, update), face.cc (Node-API).
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../memory.h"
#include "../team.h"
#include "kernels.h"

namespace gptoss {

struct TrainConfig {
  int32_t layers, hidden, heads, kv_heads, head_dim, experts, k, inner, vocab, window;
  std::vector<uint8_t> sliding;  // by layer
  std::vector<float> inverse;    // rotary frequencies, [head_dim / 2]
  float rope_scale, eps, alpha, limit;
};

// Where a tensor lies among the parameters: expert e at offset + e * stride, `size` values each.
struct TrainTensor {
  int64_t offset, size, stride;
  int32_t experts;
  bool decays, quantised;
};

// Offsets of one layer. q, k and v are rows of one matrix, their biases one vector; of each expert, gate rows come before
// up rows in one matrix [2 inner, hidden].
struct TrainLayer {
  int64_t attention_norm, qkv, qkv_bias, o, o_bias, sinks, moe_norm, router, router_bias, up, up_bias, down, down_bias;
};

struct TrainLayout {
  explicit TrainLayout(const TrainConfig& config);
  int64_t embedding, final_norm, output, total;
  std::vector<TrainLayer> layers;
  std::vector<TrainTensor> tensors;  // in the order of src/train/tensors.ts
};

struct TrainPass { int32_t first_row, rows; std::vector<int32_t> starts; };  // starts: one more than documents

// One call: a whole batch, cut into passes.
struct TrainRun {
  std::vector<int32_t> ids, targets;     // [rows]
  std::vector<float> weights;            // [rows]
  std::vector<int32_t> forced;           // [layers, rows, k] or empty
  std::vector<TrainPass> passes;
  bool gradients, fake_quantised, router_losses;
  bool rounded_products;                 // factors of products may be rounded to bf16 where that is faster
  float balance, z;                      // weights of the router losses, for means over the whole batch
  // Results.
  std::vector<float> logprobs, entropies;  // [rows]
  std::vector<int32_t> expert_ids;         // [layers, rows, k]
  std::vector<double> losses;              // [passes, layers, 2]: balance and z, means over the pass
};

class Learner;

// The working memory of one shard and what it does with it.
class Shard {
 public:
  explicit Shard(Learner& learner) : learner_(learner) {}
  void reserve(const TrainRun& run, int32_t first_pass, int32_t stride);  // throws Failure
  void run(TrainRun& run, int32_t pass);
  float* gradients = nullptr;
  // Multiply-adds of the products outside attention, and the seconds they took on this shard's thread.
  double product_flops = 0, product_seconds = 0;

 private:
  void multiply(const Gemm& g);
  struct Saved;  // of one layer, for its way back
  void forward(TrainRun& run, const TrainPass& pass);
  void backward(TrainRun& run, const TrainPass& pass, int32_t index);
  void head(TrainRun& run, const TrainPass& pass);
  void layer_forward(TrainRun& run, const TrainPass& pass, int32_t layer);
  void experts_backward(TrainRun& run, const TrainPass& pass, int32_t index, int32_t layer);
  void attention_backward(const TrainPass& pass, int32_t layer);
  void router_losses(TrainRun& run, int32_t index, int32_t layer, int32_t rows, float* dlogits);
  void choose(TrainRun& run, const TrainPass& pass, int32_t layer, const Saved& saved);
  void product(float* c, int64_t ldc, const float* a, int64_t lda, const float* w, int32_t m, int32_t n, int32_t k,
               const float* bias, bool add);  // C = A Wᵀ + bias
  void product_back(float* da, const float* dc, const float* w, int32_t m, int32_t n, int32_t k, bool add);  // dA = dC W
  void weights_back(float* dw, const float* dc, const float* a, int32_t m, int32_t n, int32_t k);  // dW += dCᵀ A
  Saved saved(int32_t layer);

  Learner& learner_;
  const TrainKernels* kernels_ = nullptr;  // of this pass
  const float* weights_ = nullptr;         // of this pass: as they are, or with rounded experts
  Memory memory_;
  int64_t capacity_ = 0;  // rows that memory_ was laid out for
  int64_t rows_ = 0, longest_ = 0, per_layer_ = 0;
  float* base_ = nullptr;     // per layer: Saved
  float* residual_ = nullptr; // [rows, hidden] what leaves the last layer; then the gradient of the stream
  float* normed_ = nullptr;
  float* dnormed_ = nullptr;
  float* dqkv_ = nullptr;
  float* dattended_ = nullptr;
  float* grouped_ = nullptr;  // [rows k, hidden]
  float* dgrouped_ = nullptr;
  float* h_ = nullptr;        // [rows k, inner]
  float* dh_ = nullptr;
  float* du_ = nullptr;       // [rows k, 2 inner]
  float* dgates_ = nullptr;   // [rows k], by slot
  float* slot_gates_ = nullptr;
  float* dlogits_ = nullptr;  // [rows, experts]
  float* head_ = nullptr;     // chunk of the vocabulary's product
  float* scratch_ = nullptr;
  int32_t* positions_ = nullptr;
  int32_t* scored_ = nullptr;
};

class Learner {
 public:
  Learner(const TrainKernels* kernels, const TrainConfig& config, int32_t threads, int32_t shards);

  // Before and on the team's threads.
  void reserve(const TrainRun& run);
  void run(Worker& worker, TrainRun& run);
  double update(Worker& worker, const AdamWStep& step, float clip, float weight_decay);  // on every worker; the norm

  void clear() { cleared_ = true; }
  void read(int32_t tensor, int32_t part, float* out);   // parts: values, gradient, first, second, quantised
  void write(int32_t tensor, int32_t part, const float* in);
  const float* weights(bool fake_quantised) const { return fake_quantised ? seen_.as<float>() : values_.as<float>(); }
  const float* angles(int32_t longest);  // [longest, head_dim]
  void products(double* flops, double* seconds) const;  // of all shards, since the learner was made

  const TrainKernels* const kernels;
  const TrainConfig config;
  const TrainLayout layout;
  Team team;

 private:
  void reduce();
  void prepare_quantised();
  std::vector<Shard> shards_;
  Memory values_, first_, second_, seen_;
  std::vector<Memory> gradients_;
  std::vector<float> angles_;
  std::vector<double> squares_;
  bool cleared_ = false, stale_ = true;  // gradients are to be zeroed at the next run; seen_ is not that of values_
  friend class Shard;
};

}  // namespace gptoss
