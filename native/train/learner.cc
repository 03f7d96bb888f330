// Storage of a learner, the passes of a run handed to its shards, and the update. Next: shard.cc.
#include "learner.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace gptoss {

namespace {

constexpr int64_t kChunk = 1 << 16;  // values of one piece of the update

int64_t aligned(int64_t n) { return (n + 15) / 16 * 16; }

}  // namespace

TrainLayout::TrainLayout(const TrainConfig& c) {
  int64_t at = 0;
  const int64_t hidden = c.hidden, q = int64_t{c.heads} * c.head_dim, kv = int64_t{c.kv_heads} * c.head_dim;
  const int64_t inner = c.inner, experts = c.experts;
  const auto place = [&](int64_t size) {
    const int64_t offset = at;
    at = aligned(at + size);
    return offset;
  };
  const auto dense = [&](int64_t offset, int64_t size, bool decays) {
    tensors.push_back({offset, size, size, 1, decays, false});
  };
  const auto expert = [&](int64_t offset, int64_t size, int64_t stride, bool matrix) {
    tensors.push_back({offset, size, stride, c.experts, matrix, matrix});
  };
  embedding = place(c.vocab * hidden);
  dense(embedding, c.vocab * hidden, true);
  for (int32_t l = 0; l < c.layers; l++) {
    TrainLayer t{};
    t.attention_norm = place(hidden);
    t.qkv = place((q + 2 * kv) * hidden);
    t.qkv_bias = place(q + 2 * kv);
    t.o = place(hidden * q);
    t.o_bias = place(hidden);
    t.sinks = place(c.heads);
    t.moe_norm = place(hidden);
    t.router = place(experts * hidden);
    t.router_bias = place(experts);
    t.up = place(experts * 2 * inner * hidden);
    t.up_bias = place(experts * 2 * inner);
    t.down = place(experts * hidden * inner);
    t.down_bias = place(experts * hidden);
    layers.push_back(t);
    dense(t.attention_norm, hidden, false);
    dense(t.qkv, q * hidden, true);
    dense(t.qkv_bias, q, false);
    dense(t.qkv + q * hidden, kv * hidden, true);
    dense(t.qkv_bias + q, kv, false);
    dense(t.qkv + (q + kv) * hidden, kv * hidden, true);
    dense(t.qkv_bias + q + kv, kv, false);
    dense(t.o, hidden * q, true);
    dense(t.o_bias, hidden, false);
    dense(t.sinks, c.heads, false);
    dense(t.moe_norm, hidden, false);
    dense(t.router, experts * hidden, true);
    dense(t.router_bias, experts, false);
    expert(t.up, inner * hidden, 2 * inner * hidden, true);
    expert(t.up + inner * hidden, inner * hidden, 2 * inner * hidden, true);
    expert(t.up_bias, inner, 2 * inner, false);
    expert(t.up_bias + inner, inner, 2 * inner, false);
    expert(t.down, hidden * inner, hidden * inner, true);
    expert(t.down_bias, hidden, hidden, false);
  }
  final_norm = place(hidden);
  dense(final_norm, hidden, false);
  output = place(c.vocab * hidden);
  dense(output, c.vocab * hidden, true);
  total = at;
}

Learner::Learner(const TrainKernels* k, const TrainConfig& c, int32_t threads, int32_t shards)
    : kernels(k), config(c), layout(c), team(threads) {
  const size_t bytes = static_cast<size_t>(layout.total) * 4;
  values_ = Memory::zeroed(bytes, "the parameters");
  first_ = Memory::zeroed(bytes, "the optimiser");
  second_ = Memory::zeroed(bytes, "the optimiser");
  shards_.reserve(static_cast<size_t>(shards));
  for (int32_t s = 0; s < shards; s++) {
    gradients_.push_back(Memory::zeroed(bytes, "the gradients"));
    shards_.emplace_back(*this);
    shards_.back().gradients = gradients_.back().as<float>();
  }
  squares_.resize(static_cast<size_t>((layout.total + kChunk - 1) / kChunk));
}

const float* Learner::angles(int32_t longest) {
  const int32_t half = config.head_dim / 2;
  const size_t row = static_cast<size_t>(config.head_dim);
  for (size_t position = angles_.size() / row; position < static_cast<size_t>(longest); position++) {
    angles_.resize((position + 1) * row);
    for (int32_t i = 0; i < half; i++) {
      const float angle = static_cast<float>(static_cast<double>(position) * static_cast<double>(config.inverse[static_cast<size_t>(i)]));
      float* at = angles_.data() + position * row + i;
      at[0] = static_cast<float>(std::cos(static_cast<double>(angle)) * static_cast<double>(config.rope_scale));
      at[half] = static_cast<float>(std::sin(static_cast<double>(angle)) * static_cast<double>(config.rope_scale));
    }
  }
  return angles_.data();
}

void Learner::products(double* flops, double* seconds) const {
  *flops = *seconds = 0;
  for (const Shard& shard : shards_) {
    *flops += shard.product_flops;
    *seconds += shard.product_seconds;
  }
}

void Learner::reserve(const TrainRun& run) {
  int32_t longest = 1;
  for (const TrainPass& pass : run.passes) {
    for (size_t d = 0; d + 1 < pass.starts.size(); d++) longest = std::max(longest, pass.starts[d + 1] - pass.starts[d]);
  }
  angles(longest);
  const int32_t count = static_cast<int32_t>(shards_.size());
  for (int32_t s = 0; s < count; s++) shards_[static_cast<size_t>(s)].reserve(run, s, count);
  if (run.fake_quantised) prepare_quantised();
}

void Learner::prepare_quantised() {
  if (seen_.data() == nullptr) seen_ = Memory::zeroed(static_cast<size_t>(layout.total) * 4, "the rounded experts");
}

void Learner::run(Worker& worker, TrainRun& run) {
  if (run.fake_quantised && stale_) {
    // All of it: a pass reads every weight from one place. Groups lie within rows, rows are multiples of 32 there.
    worker.chunks((layout.total + kChunk - 1) / kChunk, [&](int64_t i) {
      const int64_t from = i * kChunk, n = std::min(kChunk, layout.total - from);
      std::memcpy(seen_.as<float>() + from, values_.as<float>() + from, static_cast<size_t>(n) * 4);
    });
    worker.barrier();
    for (const TrainTensor& t : layout.tensors) {
      if (!t.quantised) continue;
      worker.chunks(t.experts, [&](int64_t e) {
        const int64_t at = t.offset + e * t.stride;
        kernels->fake_quantise(seen_.as<float>() + at, values_.as<float>() + at, t.size / 32);
      });
    }
    if (worker.id == 0) stale_ = false;
    worker.barrier();
  }
  const int64_t count = static_cast<int64_t>(shards_.size());
  const bool clear = cleared_;
  worker.barrier();
  worker.chunks(count, [&](int64_t s) {
    Shard& shard = shards_[static_cast<size_t>(s)];
    if (clear) std::memset(shard.gradients, 0, static_cast<size_t>(layout.total) * 4);
    for (int64_t p = s; p < static_cast<int64_t>(run.passes.size()); p += count) shard.run(run, static_cast<int32_t>(p));
  });
  if (worker.id == 0) cleared_ = false;
  worker.barrier();
}

double Learner::update(Worker& worker, const AdamWStep& step, float clip, float weight_decay) {
  const int64_t chunks = static_cast<int64_t>(squares_.size());
  float* sum = gradients_[0].as<float>();
  const bool clear = cleared_;
  worker.barrier();
  worker.chunks(chunks, [&](int64_t i) {
    const int64_t from = i * kChunk, n = std::min(kChunk, layout.total - from);
    for (size_t s = 0; s < gradients_.size(); s++) {
      float* part = gradients_[s].as<float>() + from;
      if (clear) std::memset(part, 0, static_cast<size_t>(n) * 4);
      if (s == 0) continue;
      kernels->add(sum + from, part, n);
      std::memset(part, 0, static_cast<size_t>(n) * 4);
    }
    squares_[static_cast<size_t>(i)] = kernels->squares(sum + from, n);
  });
  if (worker.id == 0) cleared_ = false;
  double squares = 0;
  for (const double s : squares_) squares += s;
  const double norm = std::sqrt(squares);
  worker.barrier();
  if (!std::isfinite(norm)) return norm;
  AdamWStep scaled = step;
  scaled.scale = clip > 0 ? static_cast<float>(std::min(1.0, static_cast<double>(clip) / (norm + 1e-6))) : 1.0f;
  // Ranges of one tensor and expert, so that decay is right; pieces of a large one by themselves.
  for (const TrainTensor& t : layout.tensors) {
    scaled.decay = t.decays ? weight_decay : 0.0f;
    const int64_t pieces = (t.size + kChunk - 1) / kChunk;
    worker.chunks(t.experts * pieces, [&](int64_t i) {
      const int64_t from = i % pieces * kChunk, n = std::min(kChunk, t.size - from), at = t.offset + i / pieces * t.stride + from;
      kernels->adamw(values_.as<float>() + at, sum + at, first_.as<float>() + at, second_.as<float>() + at, n, scaled);
    });
  }
  if (worker.id == 0) stale_ = true;
  worker.barrier();
  return norm;
}

void Learner::reduce() {
  const size_t bytes = static_cast<size_t>(layout.total) * 4;
  for (size_t s = 0; s < gradients_.size(); s++) {
    if (cleared_) std::memset(gradients_[s].data(), 0, bytes);
    if (s == 0) continue;
    kernels->add(gradients_[0].as<float>(), gradients_[s].as<float>(), layout.total);
    std::memset(gradients_[s].data(), 0, bytes);
  }
  cleared_ = false;
}

void Learner::read(int32_t tensor, int32_t part, float* out) {
  const TrainTensor& t = layout.tensors[static_cast<size_t>(tensor)];
  if (part == 1) reduce();
  const float* from = part == 1   ? gradients_[0].as<float>()
                      : part == 2 ? first_.as<float>()
                      : part == 3 ? second_.as<float>()
                                  : values_.as<float>();
  for (int64_t e = 0; e < t.experts; e++) {
    const float* at = from + t.offset + e * t.stride;
    if (part == 4 && t.quantised) kernels->fake_quantise(out + e * t.size, at, t.size / 32);
    else std::memcpy(out + e * t.size, at, static_cast<size_t>(t.size) * 4);
  }
}

void Learner::write(int32_t tensor, int32_t part, const float* in) {
  const TrainTensor& t = layout.tensors[static_cast<size_t>(tensor)];
  if (part == 1) reduce();
  float* to = part == 1   ? gradients_[0].as<float>()
              : part == 2 ? first_.as<float>()
              : part == 3 ? second_.as<float>()
                          : values_.as<float>();
  for (int64_t e = 0; e < t.experts; e++) {
    std::memcpy(to + t.offset + e * t.stride, in + e * t.size, static_cast<size_t>(t.size) * 4);
  }
  stale_ = true;
}

}  // namespace gptoss
