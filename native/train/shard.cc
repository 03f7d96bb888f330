// One pass over some documents, on one thread: forward, keeping of each layer what its way back needs, then the loss in
// chunks of the vocabulary's product, then back. Follows src/model/model.ts and src/train/backward.ts op by op; what
// differs is only that experts work on rows sorted by expert. Next: kernels.h.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "learner.h"

#ifdef __linux__
#include <time.h>
#else
#include <chrono>
#endif

namespace gptoss {

namespace {

constexpr int32_t kHeadRows = 256;  // rows whose logits exist at once

int64_t aligned(int64_t n) { return (n + 15) / 16 * 16; }

// Seconds this thread has computed; where that cannot be told, seconds that passed.
double thread_seconds() {
#ifdef __linux__
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
#else
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
#endif
}

}  // namespace

// What a layer leaves for its way back. Slots are (row, choice) pairs sorted by expert, stable.
struct Shard::Saved {
  float* x;          // [rows, hidden] enters the layer
  float* qkv;        // [rows, q + 2 kv] rotated
  float* attended;   // [rows, q]
  float* lse;        // [rows, heads]
  float* middle;     // [rows, hidden] between the halves
  float* logits;     // [rows, experts] of the router
  float* gates;      // [rows, k]
  float* u;          // [rows k, 2 inner] by slot
  int32_t* slots;    // [rows, k] slot of each choice
  int32_t* rows;     // [rows k] row of each slot
  int32_t* first;    // [experts + 1] first slot of each expert
};

Shard::Saved Shard::saved(int32_t layer) {
  const TrainConfig& c = learner_.config;
  const int64_t q = int64_t{c.heads} * c.head_dim, kv = int64_t{c.kv_heads} * c.head_dim;
  float* at = base_ + layer * per_layer_;
  const auto take = [&](int64_t floats) {
    float* p = at;
    at += aligned(floats);
    return p;
  };
  Saved s{};
  s.x = take(capacity_ * c.hidden);
  s.qkv = take(capacity_ * (q + 2 * kv));
  s.attended = take(capacity_ * q);
  s.lse = take(capacity_ * c.heads);
  s.middle = take(capacity_ * c.hidden);
  s.logits = take(capacity_ * c.experts);
  s.gates = take(capacity_ * c.k);
  s.u = take(capacity_ * c.k * 2 * c.inner);
  s.slots = reinterpret_cast<int32_t*>(take(capacity_ * c.k));
  s.rows = reinterpret_cast<int32_t*>(take(capacity_ * c.k));
  s.first = reinterpret_cast<int32_t*>(take(c.experts + 1));
  return s;
}

void Shard::reserve(const TrainRun& run, int32_t first_pass, int32_t stride) {
  int64_t rows = 0, longest = 0;
  for (size_t p = static_cast<size_t>(first_pass); p < run.passes.size(); p += static_cast<size_t>(stride)) {
    const TrainPass& pass = run.passes[p];
    rows = std::max<int64_t>(rows, pass.rows);
    for (size_t d = 0; d + 1 < pass.starts.size(); d++) longest = std::max<int64_t>(longest, pass.starts[d + 1] - pass.starts[d]);
  }
  if (rows <= capacity_ && longest <= longest_) return;
  rows = std::max(rows, capacity_);
  longest = std::max(longest, longest_);
  const TrainConfig& c = learner_.config;
  const int64_t q = int64_t{c.heads} * c.head_dim, kv = int64_t{c.kv_heads} * c.head_dim, slots = rows * c.k;
  const int64_t widest = std::max<int64_t>({c.vocab, q + 2 * kv, c.hidden, 2 * int64_t{c.inner}, c.experts, longest});
  per_layer_ = aligned(rows * c.hidden) * 2 + aligned(rows * (q + 2 * kv)) + aligned(rows * q) + aligned(rows * c.heads) +
               aligned(rows * c.experts) + 3 * aligned(slots) + aligned(slots * 2 * c.inner) + aligned(c.experts + 1);
  int64_t total = c.layers * per_layer_;
  std::vector<std::pair<float**, int64_t>> parts = {
      {&residual_, rows * c.hidden},  {&normed_, rows * c.hidden},    {&dnormed_, rows * c.hidden},
      {&dqkv_, rows * (q + 2 * kv)},  {&dattended_, rows * q},        {&grouped_, slots * c.hidden},
      {&dgrouped_, slots * c.hidden}, {&h_, slots * c.inner},         {&dh_, slots * c.inner},
      {&du_, slots * 2 * c.inner},    {&dgates_, slots},              {&slot_gates_, slots},
      {&dlogits_, rows * c.experts},  {&head_, kHeadRows * (4 * int64_t{c.hidden} + c.vocab)},
      {&scratch_, std::max(learner_.kernels->gemm_scratch(static_cast<int32_t>(widest)),
                           learner_.kernels->attention_scratch(c.heads, c.kv_heads, c.head_dim, static_cast<int32_t>(longest)))},
      {reinterpret_cast<float**>(&positions_), rows}, {reinterpret_cast<float**>(&scored_), rows + kHeadRows},
  };
  for (const auto& [pointer, floats] : parts) total += aligned(floats);
  memory_ = Memory::zeroed(static_cast<size_t>(total) * 4, "the activations of a pass");
  float* at = memory_.as<float>();
  base_ = at;
  at += c.layers * per_layer_;
  for (const auto& [pointer, floats] : parts) {
    *pointer = at;
    at += aligned(floats);
  }
  capacity_ = rows;
  longest_ = longest;
}

// ---- products ----

void Shard::multiply(const Gemm& g) {
  const double start = thread_seconds();
  kernels_->gemm(g);
  product_seconds += thread_seconds() - start;
  product_flops += 2.0 * g.m * g.n * g.k;
}

void Shard::product(float* c, int64_t ldc, const float* a, int64_t lda, const float* w, int32_t m, int32_t n, int32_t k,
                    const float* bias, bool add) {
  multiply({c, ldc, a, lda, 1, w, 1, k, m, n, k, bias, add, scratch_});
}

void Shard::product_back(float* da, const float* dc, const float* w, int32_t m, int32_t n, int32_t k, bool add) {
  multiply({da, k, dc, n, 1, w, k, 1, m, k, n, nullptr, add, scratch_});
}

void Shard::weights_back(float* dw, const float* dc, const float* a, int32_t m, int32_t n, int32_t k) {
  multiply({dw, k, dc, 1, n, a, k, 1, n, k, m, nullptr, true, scratch_});
}

// ---- forward ----

void Shard::run(TrainRun& run, int32_t index) {
  const TrainPass& pass = run.passes[static_cast<size_t>(index)];
  rows_ = pass.rows;
  for (size_t d = 0; d + 1 < pass.starts.size(); d++) {
    for (int32_t r = pass.starts[d]; r < pass.starts[d + 1]; r++) positions_[r] = r - pass.starts[d];
  }
  const TrainKernels* const rounded = learner_.kernels->rounded;
  kernels_ = run.rounded_products && rounded != nullptr ? rounded : learner_.kernels;
  weights_ = learner_.weights(run.fake_quantised);
  forward(run, pass);
  head(run, pass);
  if (run.gradients) backward(run, pass, index);
}

void Shard::forward(TrainRun& run, const TrainPass& pass) {
  const TrainConfig& c = learner_.config;
  const float* w = weights_;
  kernels_->gather(saved(0).x, w + learner_.layout.embedding, run.ids.data() + pass.first_row, pass.rows, c.hidden);
  for (int32_t l = 0; l < c.layers; l++) layer_forward(run, pass, l);
}

void Shard::layer_forward(TrainRun& run, const TrainPass& pass, int32_t layer) {
  const TrainConfig& c = learner_.config;
  const TrainKernels& k = *kernels_;
  const TrainLayer& t = learner_.layout.layers[static_cast<size_t>(layer)];
  const float* w = weights_;
  const Saved s = saved(layer);
  const int32_t rows = pass.rows, q = c.heads * c.head_dim, width = q + 2 * c.kv_heads * c.head_dim;
  k.rms_norm(normed_, s.x, w + t.attention_norm, rows, c.hidden, c.eps);
  product(s.qkv, width, normed_, c.hidden, w + t.qkv, rows, width, c.hidden, w + t.qkv_bias, false);
  k.rope(s.qkv, width, c.heads + c.kv_heads, c.head_dim, learner_.angles_.data(), positions_, rows, false);
  TrainAttention attention{};
  attention.qkv = s.qkv;
  attention.out = s.attended;
  attention.lse = s.lse;
  attention.sinks = w + t.sinks;
  attention.heads = c.heads;
  attention.kv_heads = c.kv_heads;
  attention.head_dim = c.head_dim;
  attention.window = c.sliding[static_cast<size_t>(layer)] ? c.window : 0;
  attention.starts = pass.starts.data();
  attention.documents = static_cast<int32_t>(pass.starts.size()) - 1;
  attention.scratch = scratch_;
  k.attention(attention);
  std::memcpy(s.middle, s.x, static_cast<size_t>(rows) * static_cast<size_t>(c.hidden) * 4);
  for (int64_t r = 0; r < rows; r++) k.add(s.middle + r * c.hidden, w + t.o_bias, c.hidden);
  product(s.middle, c.hidden, s.attended, q, w + t.o, rows, c.hidden, q, nullptr, true);

  k.rms_norm(normed_, s.middle, w + t.moe_norm, rows, c.hidden, c.eps);
  product(s.logits, c.experts, normed_, c.hidden, w + t.router, rows, c.experts, c.hidden, w + t.router_bias, false);
  choose(run, pass, layer, s);
  const int32_t slots = rows * c.k;
  k.gather(grouped_, normed_, s.rows, slots, c.hidden);
  const int64_t up = 2 * int64_t{c.inner} * c.hidden, down = int64_t{c.hidden} * c.inner;
  for (int32_t e = 0; e < c.experts; e++) {
    const int32_t first = s.first[e], count = s.first[e + 1] - first;
    if (count == 0) continue;
    product(s.u + int64_t{first} * 2 * c.inner, 2 * c.inner, grouped_ + int64_t{first} * c.hidden, c.hidden, w + t.up + e * up, count,
            2 * c.inner, c.hidden, w + t.up_bias + int64_t{e} * 2 * c.inner, false);
  }
  k.swiglu(h_, s.u, slots, c.inner, c.alpha, c.limit);
  for (int32_t e = 0; e < c.experts; e++) {
    const int32_t first = s.first[e], count = s.first[e + 1] - first;
    if (count == 0) continue;
    product(grouped_ + int64_t{first} * c.hidden, c.hidden, h_ + int64_t{first} * c.inner, c.inner, w + t.down + e * down, count,
            c.hidden, c.inner, w + t.down_bias + int64_t{e} * c.hidden, false);
  }
  float* out = layer + 1 < c.layers ? saved(layer + 1).x : residual_;
  std::memcpy(out, s.middle, static_cast<size_t>(rows) * static_cast<size_t>(c.hidden) * 4);
  k.combine(out, grouped_, s.slots, s.gates, rows, c.k, c.hidden, true);
}

// Top k by logit (ties: lower id) or the forced ones, softmax over them, and the slots sorted by expert.
void Shard::choose(TrainRun& run, const TrainPass& pass, int32_t layer, const Saved& s) {
  const TrainConfig& c = learner_.config;
  const size_t at = (static_cast<size_t>(layer) * run.ids.size() + static_cast<size_t>(pass.first_row)) * static_cast<size_t>(c.k);
  int32_t* all = run.expert_ids.data() + at;
  for (int64_t r = 0; r < pass.rows; r++) {
    const float* logits = s.logits + r * c.experts;
    int32_t* ids = all + r * c.k;
    float* gates = s.gates + r * c.k;
    if (!run.forced.empty()) {
      std::memcpy(ids, run.forced.data() + at + static_cast<size_t>(r * c.k), static_cast<size_t>(c.k) * 4);
    } else {
      for (int32_t i = 0; i < c.k; i++) {
        int32_t best = -1;
        for (int32_t e = 0; e < c.experts; e++) {
          bool taken = false;
          for (int32_t j = 0; j < i; j++) taken = taken || ids[j] == e;
          if (!taken && (best < 0 || logits[e] > logits[best])) best = e;
        }
        ids[i] = best;
      }
    }
    float most = logits[ids[0]];
    for (int32_t i = 1; i < c.k; i++) most = std::max(most, logits[ids[i]]);
    double sum = 0;
    for (int32_t i = 0; i < c.k; i++) sum += std::exp(static_cast<double>(logits[ids[i]]) - static_cast<double>(most));
    for (int32_t i = 0; i < c.k; i++) {
      gates[i] = static_cast<float>(std::exp(static_cast<double>(logits[ids[i]]) - static_cast<double>(most)) / sum);
    }
  }
  std::fill(s.first, s.first + c.experts + 1, 0);
  const int64_t slots = pass.rows * int64_t{c.k};
  for (int64_t i = 0; i < slots; i++) s.first[all[i] + 1]++;
  for (int32_t e = 0; e < c.experts; e++) s.first[e + 1] += s.first[e];
  for (int64_t i = 0; i < slots; i++) {
    const int32_t slot = s.first[all[i]]++;
    s.slots[i] = slot;
    s.rows[slot] = static_cast<int32_t>(i / c.k);
  }
  for (int32_t e = c.experts; e > 0; e--) s.first[e] = s.first[e - 1];
  s.first[0] = 0;
}

// ---- the loss ----

// Only rows with a weight go through the vocabulary's product. Leaves the gradient of the stream in residual_.
void Shard::head(TrainRun& run, const TrainPass& pass) {
  const TrainConfig& c = learner_.config;
  const TrainKernels& k = *kernels_;
  const TrainLayout& layout = learner_.layout;
  const float* w = weights_;
  const int64_t hidden = c.hidden;
  int32_t count = 0;
  for (int32_t r = 0; r < pass.rows; r++) {
    if (run.weights[static_cast<size_t>(pass.first_row + r)] != 0) scored_[count++] = r;
  }
  float* last = head_;
  float* normed = last + kHeadRows * hidden;
  float* dnormed = normed + kHeadRows * hidden;
  float* dlast = dnormed + kHeadRows * hidden;
  float* logits = dlast + kHeadRows * hidden;
  float* dstream = dnormed_;  // free here: gradients must not overwrite rows that are still to be read
  if (run.gradients) std::memset(dstream, 0, static_cast<size_t>(pass.rows * hidden) * 4);
  for (int32_t from = 0; from < count; from += kHeadRows) {
    const int32_t rows = std::min(kHeadRows, count - from);
    int32_t targets[kHeadRows];
    float weights[kHeadRows], logp[kHeadRows], entropy[kHeadRows];
    for (int32_t i = 0; i < rows; i++) {
      const size_t row = static_cast<size_t>(pass.first_row + scored_[from + i]);
      targets[i] = run.targets[row];
      weights[i] = run.weights[row];
    }
    k.gather(last, residual_, scored_ + from, rows, c.hidden);
    k.rms_norm(normed, last, w + layout.final_norm, rows, c.hidden, c.eps);
    product(logits, c.vocab, normed, hidden, w + layout.output, rows, c.vocab, c.hidden, nullptr, false);
    k.cross_entropy(logits, targets, weights, logp, entropy, rows, c.vocab);
    for (int32_t i = 0; i < rows; i++) {
      const size_t row = static_cast<size_t>(pass.first_row + scored_[from + i]);
      run.logprobs[row] = logp[i];
      run.entropies[row] = entropy[i];
    }
    if (!run.gradients) continue;
    weights_back(gradients + layout.output, logits, normed, rows, c.vocab, c.hidden);
    product_back(dnormed, logits, w + layout.output, rows, c.vocab, c.hidden, false);
    std::memset(dlast, 0, static_cast<size_t>(rows * hidden) * 4);
    k.rms_norm_back(dlast, gradients + layout.final_norm, dnormed, last, w + layout.final_norm, rows, c.hidden, c.eps);
    for (int32_t i = 0; i < rows; i++) {
      std::memcpy(dstream + scored_[from + i] * hidden, dlast + i * hidden, static_cast<size_t>(hidden) * 4);
    }
  }
  if (run.gradients) std::memcpy(residual_, dstream, static_cast<size_t>(pass.rows * hidden) * 4);
}

// ---- backward ----

void Shard::backward(TrainRun& run, const TrainPass& pass, int32_t index) {
  const TrainConfig& c = learner_.config;
  for (int32_t l = c.layers - 1; l >= 0; l--) {
    experts_backward(run, pass, index, l);
    attention_backward(pass, l);
  }
  float* table = gradients + learner_.layout.embedding;
  for (int64_t r = 0; r < pass.rows; r++) {
    const int64_t id = run.ids[static_cast<size_t>(pass.first_row + r)];
    kernels_->add(table + id * c.hidden, residual_ + r * c.hidden, c.hidden);
  }
}

void Shard::experts_backward(TrainRun& run, const TrainPass& pass, int32_t index, int32_t layer) {
  const TrainConfig& c = learner_.config;
  const TrainKernels& k = *kernels_;
  const TrainLayer& t = learner_.layout.layers[static_cast<size_t>(layer)];
  const float* w = weights_;
  const Saved s = saved(layer);
  const int32_t rows = pass.rows, slots = rows * c.k;
  const int64_t up = 2 * int64_t{c.inner} * c.hidden, down = int64_t{c.hidden} * c.inner;

  // y += Σ gate (W h + b): dh = gate Wᵀ dy, dgate = (Wᵀ dy) h + dy b, dW += dy (gate h)ᵀ, db += gate dy.
  for (int64_t i = 0; i < slots; i++) slot_gates_[s.slots[i]] = s.gates[i];
  k.gather(dgrouped_, residual_, s.rows, slots, c.hidden);
  k.swiglu(h_, s.u, slots, c.inner, c.alpha, c.limit);
  for (int32_t e = 0; e < c.experts; e++) {
    const int32_t first = s.first[e], count = s.first[e + 1] - first;
    if (count == 0) continue;
    const float* bias = w + t.down_bias + int64_t{e} * c.hidden;
    float* dy = dgrouped_ + int64_t{first} * c.hidden;
    float* h = h_ + int64_t{first} * c.inner;
    float* dh = dh_ + int64_t{first} * c.inner;
    product_back(dh, dy, w + t.down + e * down, count, c.hidden, c.inner, false);
    for (int64_t i = 0; i < count; i++) {
      dgates_[first + i] = k.dot(dh + i * c.inner, h + i * c.inner, c.inner) + k.dot(dy + i * c.hidden, bias, c.hidden);
    }
    k.scale_rows(h, h, slot_gates_ + first, count, c.inner);
    weights_back(gradients + t.down + e * down, dy, h, count, c.hidden, c.inner);
    k.column_sums(gradients + t.down_bias + int64_t{e} * c.hidden, dy, slot_gates_ + first, count, c.hidden);
  }
  k.swiglu_back(du_, s.u, dh_, slot_gates_, slots, c.inner, c.alpha, c.limit);
  k.rms_norm(normed_, s.middle, w + t.moe_norm, rows, c.hidden, c.eps);
  k.gather(grouped_, normed_, s.rows, slots, c.hidden);
  for (int32_t e = 0; e < c.experts; e++) {
    const int32_t first = s.first[e], count = s.first[e + 1] - first;
    if (count == 0) continue;
    const float* du = du_ + int64_t{first} * 2 * c.inner;
    weights_back(gradients + t.up + e * up, du, grouped_ + int64_t{first} * c.hidden, count, 2 * c.inner, c.hidden);
    k.column_sums(gradients + t.up_bias + int64_t{e} * 2 * c.inner, du, nullptr, count, 2 * c.inner);
    product_back(dgrouped_ + int64_t{first} * c.hidden, du, w + t.up + e * up, count, 2 * c.inner, c.hidden, false);
  }
  k.combine(dnormed_, dgrouped_, s.slots, nullptr, rows, c.k, c.hidden, false);

  // Through the softmax over the chosen: dlogit_i = gate_i (dgate_i - Σ_j gate_j dgate_j).
  const int32_t* ids = run.expert_ids.data() +
                       (static_cast<size_t>(layer) * run.ids.size() + static_cast<size_t>(pass.first_row)) * static_cast<size_t>(c.k);
  std::memset(dlogits_, 0, static_cast<size_t>(rows) * static_cast<size_t>(c.experts) * 4);
  for (int64_t r = 0; r < rows; r++) {
    double mean = 0;
    for (int64_t i = r * c.k; i < (r + 1) * c.k; i++) mean += static_cast<double>(s.gates[i]) * static_cast<double>(dgates_[s.slots[i]]);
    for (int64_t i = r * c.k; i < (r + 1) * c.k; i++) {
      dlogits_[r * c.experts + ids[i]] +=
          static_cast<float>(static_cast<double>(s.gates[i]) * (static_cast<double>(dgates_[s.slots[i]]) - mean));
    }
  }
  if (run.router_losses) router_losses(run, index, layer, rows, dlogits_);
  weights_back(gradients + t.router, dlogits_, normed_, rows, c.experts, c.hidden);
  k.column_sums(gradients + t.router_bias, dlogits_, nullptr, rows, c.experts);
  product_back(dnormed_, dlogits_, w + t.router, rows, c.experts, c.hidden, true);
  k.rms_norm_back(residual_, gradients + t.moe_norm, dnormed_, s.middle, w + t.moe_norm, rows, c.hidden, c.eps);
}

// Load balance and z loss over the rows of this pass; their weights count for means over the batch.
void Shard::router_losses(TrainRun& run, int32_t index, int32_t layer, int32_t rows, float* dlogits) {
  const TrainConfig& c = learner_.config;
  const Saved s = saved(layer);
  const double part = static_cast<double>(rows) / static_cast<double>(run.ids.size());
  const double balance_weight = static_cast<double>(run.balance) * part, z_weight = static_cast<double>(run.z) * part;
  const double n = rows, experts = c.experts;
  double balance = 0, z = 0;
  for (int64_t r = 0; r < rows; r++) {
    const float* x = s.logits + r * c.experts;
    double most = x[0], sum = 0, expected = 0;
    for (int32_t e = 1; e < c.experts; e++) most = std::max(most, static_cast<double>(x[e]));
    for (int32_t e = 0; e < c.experts; e++) sum += std::exp(static_cast<double>(x[e]) - most);
    const auto p = [&](int32_t e) { return std::exp(static_cast<double>(x[e]) - most) / sum; };
    const auto share = [&](int32_t e) { return (s.first[e + 1] - s.first[e]) / (n * c.k); };  // of all choices: a constant
    for (int32_t e = 0; e < c.experts; e++) expected += share(e) * p(e);
    const double lse = most + std::log(sum);
    balance += experts / n * expected;
    z += lse * lse / n;
    for (int32_t e = 0; e < c.experts; e++) {
      const double d = balance_weight * (experts / n) * p(e) * (share(e) - expected) + z_weight * 2 * lse / n * p(e);
      dlogits[r * c.experts + e] += static_cast<float>(d);
    }
  }
  double* losses = run.losses.data() + (static_cast<size_t>(index) * static_cast<size_t>(c.layers) + static_cast<size_t>(layer)) * 2;
  losses[0] = balance;
  losses[1] = z;
}

void Shard::attention_backward(const TrainPass& pass, int32_t layer) {
  const TrainConfig& c = learner_.config;
  const TrainKernels& k = *kernels_;
  const TrainLayer& t = learner_.layout.layers[static_cast<size_t>(layer)];
  const float* w = weights_;
  const Saved s = saved(layer);
  const int32_t rows = pass.rows, q = c.heads * c.head_dim, width = q + 2 * c.kv_heads * c.head_dim;
  weights_back(gradients + t.o, residual_, s.attended, rows, c.hidden, q);
  k.column_sums(gradients + t.o_bias, residual_, nullptr, rows, c.hidden);
  product_back(dattended_, residual_, w + t.o, rows, c.hidden, q, false);
  TrainAttention attention{};
  attention.qkv = s.qkv;
  attention.out = s.attended;
  attention.lse = s.lse;
  attention.sinks = w + t.sinks;
  attention.heads = c.heads;
  attention.kv_heads = c.kv_heads;
  attention.head_dim = c.head_dim;
  attention.window = c.sliding[static_cast<size_t>(layer)] ? c.window : 0;
  attention.starts = pass.starts.data();
  attention.documents = static_cast<int32_t>(pass.starts.size()) - 1;
  attention.scratch = scratch_;
  attention.dout = dattended_;
  attention.dqkv = dqkv_;
  attention.dsinks = gradients + t.sinks;
  k.attention_back(attention);
  k.rope(dqkv_, width, c.heads + c.kv_heads, c.head_dim, learner_.angles_.data(), positions_, rows, true);
  k.rms_norm(normed_, s.x, w + t.attention_norm, rows, c.hidden, c.eps);
  weights_back(gradients + t.qkv, dqkv_, normed_, rows, width, c.hidden);
  k.column_sums(gradients + t.qkv_bias, dqkv_, nullptr, rows, width);
  product_back(dnormed_, dqkv_, w + t.qkv, rows, width, c.hidden, false);
  k.rms_norm_back(residual_, gradients + t.attention_norm, dnormed_, s.x, w + t.attention_norm, rows, c.hidden, c.eps);
}

}  // namespace gptoss
