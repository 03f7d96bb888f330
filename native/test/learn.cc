// The trainer of one variant, without Node: products of every orientation against float64, MXFP4 bit for bit as scalar, and
// whole steps of a learner (every other kernel) against one of the scalar variant, with the same bits on one thread and on
// three. Models have odd sizes, documents of one token, experts without rows, a sink of -∞. Arrays are as long as they must be:
// sanitizers see what goes beyond. Next: native/train/learner.h.
#include "learn.h"

#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <mutex>
#include <string>
#include <vector>

#include "../train/learner.h"

namespace gptoss {
namespace {

uint64_t state = 1;
uint32_t random_bits() {
  state = state * 6364136223846793005ull + 1442695040888963407ull;
  return static_cast<uint32_t>(state >> 33);
}
int32_t below(int32_t n) { return static_cast<int32_t>(random_bits() % static_cast<uint32_t>(n)); }
std::vector<float> floats(size_t n, float scale = 1) {
  std::vector<float> v(n);
  for (float& x : v) x = (static_cast<float>(random_bits()) / 1073741824.0f - 1.0f) * scale;
  return v;
}

void on(Team& team, std::function<void(Worker&)> work) {
  std::mutex mutex;
  std::condition_variable ended;
  bool done = false;
  auto job = std::make_unique<Job>();
  job->work = std::move(work);
  job->done = [&] {
    const std::lock_guard<std::mutex> lock(mutex);
    done = true;
    ended.notify_one();
  };
  team.submit(std::move(job));
  std::unique_lock<std::mutex> lock(mutex);
  ended.wait(lock, [&] { return done; });
}

struct Checks {
  const TrainKernels& kernels;
  Counts counts{0, 0};
  void expect(bool holds, const std::string& what) {
    if (holds) counts.passed++;
    else counts.failed++, std::printf("FAILED %s trainer: %s\n", kernels.name, what.c_str());
  }
};

void products(Checks& checks) {
  const int32_t sizes[][3] = {{1, 1, 1}, {16, 16, 32}, {5, 7, 3}, {33, 49, 65}, {40, 70, 300}, {64, 64, 256}, {3, 600, 31}, {17, 20, 0}};
  for (const auto& [m, n, k] : sizes) {
    for (int kind = 0; kind < 9; kind++) {  // which sides lie transposed; plain, with a bias, added
      const bool a_turned = kind % 3 == 2, b_turned = kind % 3 == 0, add = kind / 3 == 2, biased = kind / 3 == 1;
      const std::vector<float> a = floats(static_cast<size_t>(m) * k), b = floats(static_cast<size_t>(k) * n), bias = floats(n);
      const int64_t a_row = a_turned ? 1 : k, a_k = a_turned ? m : 1, b_k = b_turned ? 1 : n, b_n = b_turned ? k : 1;
      std::vector<float> c = floats(static_cast<size_t>(m) * n), scratch(static_cast<size_t>(checks.kernels.gemm_scratch(m)));
      const std::vector<float> before = c;
      checks.kernels.gemm({c.data(), n, a.data(), a_row, a_k, b.data(), b_k, b_n, m, n, k, biased ? bias.data() : nullptr, add, scratch.data()});
      double worst = 0;
      for (int32_t i = 0; i < m; i++) {
        for (int32_t j = 0; j < n; j++) {
          double sum = add ? before[static_cast<size_t>(i) * n + j] : biased ? bias[j] : 0, size = 1;
          for (int32_t x = 0; x < k; x++) {
            const double p = static_cast<double>(a[i * a_row + x * a_k]) * static_cast<double>(b[x * b_k + j * b_n]);
            sum += p;
            size += std::fabs(p);
          }
          worst = std::max(worst, std::fabs(sum - static_cast<double>(c[static_cast<size_t>(i) * n + j])) / size);
        }
      }
      checks.expect(worst < 1e-6, "product " + std::to_string(m) + " " + std::to_string(n) + " " + std::to_string(k) + " kind " + std::to_string(kind));
    }
  }
}

void rounding(Checks& checks) {
  for (const int64_t groups : {1, 8, 13}) {
    std::vector<float> x = floats(static_cast<size_t>(groups) * 32);
    for (size_t i = 0; i < x.size(); i++) x[i] = std::ldexp(x[i], static_cast<int>(i / 32) * 20 - 140);
    x[3] = -0.0f;
    std::vector<float> y(x.size()), wanted(x.size());
    checks.kernels.fake_quantise(y.data(), x.data(), groups);
    scalar_train_kernels()->fake_quantise(wanted.data(), x.data(), groups);
    checks.expect(std::memcmp(y.data(), wanted.data(), y.size() * 4) == 0, "MXFP4 of " + std::to_string(groups) + " groups");
  }
}

TrainConfig model(int32_t hidden, int32_t heads, int32_t kv_heads, int32_t head_dim, int32_t experts, int32_t k, int32_t inner, int32_t window) {
  TrainConfig c{};
  c.layers = 2, c.hidden = hidden, c.heads = heads, c.kv_heads = kv_heads, c.head_dim = head_dim, c.experts = experts, c.k = k;
  c.inner = inner, c.vocab = 45, c.window = window;
  c.sliding = {1, 0};
  for (int32_t i = 0; i < head_dim / 2; i++) c.inverse.push_back(std::pow(150000.0f, -2.0f * static_cast<float>(i) / static_cast<float>(head_dim)));
  c.rope_scale = 1.1f, c.eps = 1e-5f, c.alpha = 1.702f, c.limit = 1.5f;
  return c;
}

TrainRun batch(const TrainConfig& c, const std::vector<int32_t>& lengths, int32_t documents_of_a_pass, bool fake_quantised) {
  TrainRun run{};
  int32_t rows = 0;
  for (size_t d = 0; d < lengths.size(); d++) {
    if (d % static_cast<size_t>(documents_of_a_pass) == 0) run.passes.push_back({rows, 0, {0}});
    TrainPass& pass = run.passes.back();
    pass.rows += lengths[d];
    pass.starts.push_back(pass.rows);
    rows += lengths[d];
  }
  const size_t n = static_cast<size_t>(rows), choices = n * static_cast<size_t>(c.layers * c.k);
  for (int32_t r = 0; r < rows; r++) {
    run.ids.push_back(below(c.vocab));
    run.targets.push_back(below(c.vocab));
    run.weights.push_back(r % 3 == 0 ? 0.0f : 1.0f / static_cast<float>(rows));
  }
  for (size_t row = 0; row < choices / static_cast<size_t>(c.k); row++) {  // the last expert is never chosen
    const int32_t first = below(c.experts - 1);
    for (int32_t i = 0; i < c.k; i++) run.forced.push_back((first + i) % (c.experts - 1));
  }
  run.gradients = run.router_losses = true;
  run.fake_quantised = fake_quantised;
  run.balance = 0.1f, run.z = 0.1f;
  run.logprobs.resize(n), run.entropies.resize(n), run.expert_ids.resize(choices);
  run.losses.resize(run.passes.size() * static_cast<size_t>(c.layers) * 2);
  return run;
}

// Log-probabilities, then every gradient, after one pass; then every value after an update.
struct Outcome { std::vector<float> logprobs, gradients, values; };

Outcome step(const TrainKernels& kernels, const TrainConfig& c, TrainRun run, int32_t threads, const std::vector<std::vector<float>>& start) {
  Learner learner(&kernels, c, threads, 2);
  for (size_t t = 0; t < start.size(); t++) learner.write(static_cast<int32_t>(t), 0, start[t].data());
  learner.reserve(run);
  learner.clear();
  on(learner.team, [&](Worker& w) { learner.run(w, run); });
  Outcome out;
  out.logprobs = run.logprobs;
  const auto collect = [&](int32_t part, std::vector<float>& to) {
    for (size_t t = 0; t < start.size(); t++) {
      std::vector<float> one(start[t].size());
      learner.read(static_cast<int32_t>(t), part, one.data());
      to.insert(to.end(), one.begin(), one.end());
    }
  };
  collect(1, out.gradients);
  AdamWStep adam{0.01f, 0.9f, 0.95f, 1e-8f, 0, 1, 0.1f, 0.05f};
  on(learner.team, [&](Worker& w) { learner.update(w, adam, 1.0f, 0.1f); });
  collect(0, out.values);
  return out;
}

bool close(const std::vector<float>& a, const std::vector<float>& b, float tolerance) {
  float largest = 0, worst = 0;
  for (size_t i = 0; i < a.size(); i++) {
    if (!(std::fabs(a[i]) < 1e30f)) return false;
    largest = std::max(largest, std::fabs(b[i]));
    worst = std::max(worst, std::fabs(a[i] - b[i]));
  }
  return worst <= tolerance * largest;
}

void steps(Checks& checks) {
  const TrainConfig models[] = {model(32, 4, 2, 8, 5, 2, 32, 4), model(20, 3, 1, 6, 7, 3, 9, 1), model(64, 4, 2, 32, 4, 2, 64, 20)};
  for (const TrainConfig& c : models) {
    const bool whole = c.hidden % 32 == 0 && c.inner % 32 == 0;
    for (int fake = 0; fake < (whole ? 2 : 1); fake++) {
      const std::string what = "hidden " + std::to_string(c.hidden) + (fake != 0 ? " rounded" : "");
      const TrainLayout layout(c);
      std::vector<std::vector<float>> start;
      for (const TrainTensor& t : layout.tensors) {
        start.push_back(floats(static_cast<size_t>(t.size * t.experts), 0.4f));
        if (t.size == c.heads && t.experts == 1) start.back()[0] = -std::numeric_limits<float>::infinity();
      }
      const TrainRun run = batch(c, {1, 17, 3, 1, 60, 8}, 2, fake != 0);
      const Outcome found = step(checks.kernels, c, run, 1, start), three = step(checks.kernels, c, run, 3, start);
      const Outcome wanted = step(*scalar_train_kernels(), c, run, 1, start);
      checks.expect(close(found.logprobs, wanted.logprobs, 1e-5f), what + ": log-probabilities");
      checks.expect(close(found.gradients, wanted.gradients, 1e-4f), what + ": gradients");
      const auto same = [](const std::vector<float>& a, const std::vector<float>& b) { return std::memcmp(a.data(), b.data(), a.size() * 4) == 0; };
      checks.expect(same(found.gradients, three.gradients) && same(found.values, three.values), what + ": bits on three threads");
    }
  }
}

}  // namespace

Counts check_trainer(const TrainKernels& kernels) {
  state = 1;
  Checks checks{kernels};
  products(checks);
  rounding(checks);
  steps(checks);
  return checks.counts;
}

}  // namespace gptoss
