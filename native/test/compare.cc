// Every op of every variant that this processor runs (the trainer's too: learn.cc), against the scalar variant in `exact` on random inputs. Weights end
// at a page that may not be read, so that a read beyond a row ends the test. `exact` must give the same bits with one
// worker and with three. A program of its own, without Node: it also runs under an emulator and with sanitizers
// (scripts/test-kernels.mjs). Ends with `N passed, N failed`. Next: native/kernels.h.
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "../dispatch.h"
#include "../team.h"
#include "learn.h"

namespace gptoss {
namespace {

// A kernel that is added to the table must be added here.
static_assert(sizeof(Kernels) == 16 * sizeof(void*), "native/test/compare.cc does not know every kernel");

uint64_t state = 1;
uint32_t random_bits() {
  state = state * 6364136223846793005ull + 1442695040888963407ull;
  return static_cast<uint32_t>(state >> 33);
}
int32_t below(int32_t n) { return static_cast<int32_t>(random_bits() % static_cast<uint32_t>(n)); }
float uniform() { return static_cast<float>(random_bits()) / 1073741824.0f - 1.0f; }
std::vector<float> floats(size_t n, float scale = 1) {
  std::vector<float> v(n);
  for (float& x : v) x = uniform() * scale;
  return v;
}

// Bytes that end where a page begins that may not be touched.
class Guarded {
 public:
  explicit Guarded(size_t n) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), whole = (n + page - 1) / page * page;
    size_ = whole + page;
    base_ = static_cast<uint8_t*>(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED || mprotect(base_ + whole, page, PROT_NONE) != 0) std::abort();
    data = base_ + whole - n;
  }
  Guarded(const Guarded&) = delete;
  ~Guarded() { munmap(base_, size_); }
  uint8_t* data;

 private:
  uint8_t* base_;
  size_t size_;
};

struct TypeInfo { const char* name; DType type; int32_t bytes, values, halves[2]; };  // halves: offsets of f16 scales, or -1
const TypeInfo kTypes[] = {
    {"f32", DType::F32, 4, 1, {-1, -1}},        {"f16", DType::F16, 2, 1, {-1, -1}},      {"bf16", DType::BF16, 2, 1, {-1, -1}},
    {"q8_0", DType::Q8_0, 34, 32, {0, -1}},     {"mxfp4", DType::MXFP4, 17, 32, {-1, -1}}, {"mxfp4-pairs", DType::MXFP4_PAIRS, 17, 32, {-1, -1}},
    {"mxfp4-split", DType::MXFP4_SPLIT, 16, 32, {-1, -1}},
    {"q4_0", DType::Q4_0, 18, 32, {0, -1}},     {"q4_1", DType::Q4_1, 20, 32, {0, 2}},    {"q5_0", DType::Q5_0, 22, 32, {0, -1}},
    {"q5_1", DType::Q5_1, 24, 32, {0, 2}},      {"iq4_nl", DType::IQ4_NL, 18, 32, {0, -1}}, {"q2_k", DType::Q2_K, 84, 256, {80, 82}},
    {"q3_k", DType::Q3_K, 110, 256, {108, -1}}, {"q4_k", DType::Q4_K, 144, 256, {0, 2}},  {"q5_k", DType::Q5_K, 176, 256, {0, 2}},
    {"q6_k", DType::Q6_K, 210, 256, {208, -1}},
};

struct Weights {
  Weights(const TypeInfo& t, int32_t experts, int32_t rows, int32_t cols)
      : bytes(static_cast<size_t>(experts) * rows * (cols / t.values) * t.bytes), scales(static_cast<size_t>(experts) * rows * (cols / 32)) {
    const int64_t groups = int64_t{experts} * rows * (cols / t.values), row = int64_t{cols / t.values} * t.bytes;
    for (int64_t g = 0; g < groups; g++) {
      uint8_t* p = bytes.data + g * t.bytes;
      for (int32_t i = 0; i < t.bytes; i++) p[i] = static_cast<uint8_t>(random_bits());
      if (t.type == DType::F32) { const float f = uniform(); std::memcpy(p, &f, 4); }
      if (t.type == DType::F16) put(p, static_cast<uint16_t>((random_bits() & 0x83ff) | ((10 + below(5)) << 10)));
      if (t.type == DType::BF16) put(p, static_cast<uint16_t>((random_bits() & 0x807f) | ((122 + below(5)) << 7)));
      if (t.type == DType::MXFP4 || t.type == DType::MXFP4_PAIRS) p[0] = static_cast<uint8_t>(118 + below(10));
      for (const int32_t at : t.halves) if (at >= 0) put(p + at, static_cast<uint16_t>((random_bits() & 0x3ff) | ((3 + below(5)) << 10)));
    }
    if (t.type == DType::MXFP4_SPLIT) for (int64_t g = 0; g < groups; g++) scales.data[g] = static_cast<uint8_t>(118 + below(10));
    matrix = {t.type, experts, rows, cols, bytes.data, row, row * rows, scales.data, cols / 32, int64_t{cols / 32} * rows, 0};
  }
  static void put(uint8_t* p, uint16_t h) { std::memcpy(p, &h, 2); }
  Guarded bytes, scales;
  Matrix matrix{};
};

int32_t passed = 0, failed = 0;
Team* one;
Team* three;

void on(Team& team, const std::function<void(Worker&)>& work) {
  std::mutex mutex;
  std::condition_variable ended;
  bool done = false;
  team.submit(std::make_unique<Job>(Job{work, [&] {
    std::lock_guard<std::mutex> lock(mutex);
    done = true;
    ended.notify_all();
  }}));
  std::unique_lock<std::mutex> lock(mutex);
  ended.wait(lock, [&] { return done; });
}

using Result = std::vector<float>;
// Runs one op of a variant into `out` (already holding what the op adds to).
using Run = std::function<void(const Kernels&, Worker&, float* out, uint8_t* scratch, bool exact)>;

Result result_of(const Kernels& k, Team& team, const Run& run, const Result& before, size_t scratch_bytes, bool exact) {
  Guarded out(before.size() * 4);
  std::memcpy(out.data, before.data(), before.size() * 4);
  const Memory scratch = Memory::zeroed(scratch_bytes + 64, "scratch");
  on(team, [&](Worker& w) { run(k, w, reinterpret_cast<float*>(out.data), scratch.data(), exact); });
  Result r(before.size());
  std::memcpy(r.data(), out.data, r.size() * 4);
  return r;
}

// Root of mean squares of the difference over that of the reference.
double error_of(const Result& a, const Result& b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); i++) {
    if (std::isnan(a[i]) != std::isnan(b[i])) return 1e9;
    if (std::isnan(b[i])) continue;
    difference += std::pow(double{a[i]} - b[i], 2);
    size += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(difference / (size + 1e-30));
}

void compare(const Kernels& k, const std::string& name, const Run& run, const Result& before,
             const std::function<size_t(const Kernels&, bool)>& scratch, double fast_limit) {
  const Result reference = result_of(*scalar_kernels(), *one, run, before, scratch(*scalar_kernels(), true), true);
  const Result exact = result_of(k, *one, run, before, scratch(k, true), true);
  const Result shared = result_of(k, *three, run, before, scratch(k, true), true);
  std::string problem;
  const double off = error_of(exact, reference);
  if (!(off < 2e-5)) problem += " exact is off by " + std::to_string(off) + ";";
  if (std::memcmp(exact.data(), shared.data(), exact.size() * 4) != 0) problem += " exact differs with three workers;";
  if (fast_limit > 0) {
    const double rough = error_of(result_of(k, *three, run, before, scratch(k, false), false), reference);
    if (!(rough < fast_limit)) problem += " fast is off by " + std::to_string(rough) + ";";
  }
  if (problem.empty()) passed++;
  else failed++;
  if (!problem.empty()) std::printf("FAILED %s %s:%s\n", k.name, name.c_str(), problem.c_str());
}

size_t no_scratch(const Kernels&, bool) { return 0; }

void matmuls(const Kernels& k) {
  for (const TypeInfo& t : kTypes) {
    for (const int32_t cols : {t.values == 256 ? 512 : 320, t.values == 256 ? 256 : t.values == 1 ? 45 : 96}) {
      const Weights w(t, 1, 37, cols), table(t, 1, 9, cols);
      const std::vector<float> bias = floats(37);
      for (const int32_t rows : {1, 3, 6, 70}) {
        const std::vector<float> x = floats(static_cast<size_t>(rows) * cols);
        const bool add = rows == 3;
        compare(k, std::string("linear ") + t.name + " " + std::to_string(rows) + "x" + std::to_string(cols),
                [&](const Kernels& v, Worker& worker, float* y, uint8_t* s, bool exact) {
                  v.linear(worker, {&w.matrix, add ? nullptr : bias.data(), x.data(), y, rows, add, exact, s});
                },
                floats(static_cast<size_t>(rows) * 37),
                [&](const Kernels& v, bool exact) { return v.linear_scratch(w.matrix, rows, exact); }, 0.02);
      }
      const std::vector<int32_t> tokens = {0, 8, 3};
      compare(k, std::string("embed ") + t.name,
              [&](const Kernels& v, Worker& worker, float* y, uint8_t*, bool) { v.embed(worker, {&table.matrix, tokens.data(), y, 3}); },
              Result(3 * static_cast<size_t>(cols)), no_scratch, 1e-6);
    }
    const int32_t hidden = 256, inner = 35, experts = 5, per = 2;
    const Weights gate(t, experts, inner, hidden), up(t, experts, inner, hidden), down(t, experts, 37, hidden);
    const std::vector<Experts> whole = {{0, experts}}, parts = {{0, 2}, {2, experts}};
    const std::vector<float> gb = floats(experts * inner), ub = floats(experts * inner), db = floats(experts * 37);
    for (const int32_t rows : {1, 4, 40}) {
      const size_t pairs = static_cast<size_t>(rows) * per;
      std::vector<int32_t> ids(pairs);
      for (size_t i = 0; i < pairs; i += 2) ids[i] = below(experts), ids[i + 1] = (ids[i] + 1 + below(experts - 1)) % experts;
      const std::vector<float> x = floats(static_cast<size_t>(rows) * hidden), h = floats(pairs * hidden), gates = floats(pairs);
      compare(k, std::string("moe_up ") + t.name + " " + std::to_string(rows),
              [&](const Kernels& v, Worker& worker, float* y, uint8_t* s, bool exact) {
                for (const Experts range : rows == 1 ? whole : parts) {
                  v.moe_up(worker, {&gate.matrix, &up.matrix, gb.data(), ub.data(), x.data(), ids.data(), y, rows, per, 1.702f, 7.0f, exact, range, s});
                  worker.barrier();
                }
              },
              Result(pairs * inner), [&](const Kernels& v, bool exact) { return v.moe_up_scratch(gate.matrix, rows, per, exact); }, 0.05);
      compare(k, std::string("moe_down ") + t.name + " " + std::to_string(rows),
              [&](const Kernels& v, Worker& worker, float* y, uint8_t* s, bool exact) {
                for (const Experts range : rows == 1 || !v.moe_down_in_parts(down.matrix, exact) ? whole : parts) {
                  v.moe_down(worker, {&down.matrix, db.data(), h.data(), ids.data(), gates.data(), y, rows, per, exact, range, s});
                  worker.barrier();
                }
              },
              floats(static_cast<size_t>(rows) * 37), [&](const Kernels& v, bool exact) { return v.moe_down_scratch(down.matrix, rows, per, exact); }, 0.05);
    }
  }
}

void rows(const Kernels& k) {
  for (const int32_t width : {16, 45, 320}) {
    const std::vector<float> x = floats(5 * static_cast<size_t>(width)), gain = floats(width);
    const std::vector<int32_t> index = {4, 0, 2};
    compare(k, "rms_norm", [&](const Kernels& v, Worker& w, float* y, uint8_t*, bool) { v.rms_norm(w, {x.data(), gain.data(), y, 5, width, 1e-5f}); },
            Result(5 * static_cast<size_t>(width)), no_scratch, 1e-5);
    compare(k, "gather_rows", [&](const Kernels& v, Worker& w, float* y, uint8_t*, bool) { v.gather_rows(w, {x.data(), index.data(), y, 3, width}); },
            Result(3 * static_cast<size_t>(width)), no_scratch, 1e-9);
  }
  std::vector<float> logits = floats(33 * 32, 5);
  for (int i = 0; i < 32; i++) logits[64 + static_cast<size_t>(i)] = 1;  // ties
  const std::vector<int32_t> forced(33 * 4, 0);
  for (const bool given : {false, true}) {
    compare(k, "route",
            [&](const Kernels& v, Worker& w, float* y, uint8_t*, bool) {
              std::vector<int32_t> unused;
              int32_t* ids = reinterpret_cast<int32_t*>(y);
              v.route(w, {logits.data(), ids, y + 33 * 4, 33, 32, 4, given ? forced.data() : nullptr});
              if (w.id == 0) for (int i = 0; i < 33 * 4; i++) y[i] = static_cast<float>(ids[i]);
              w.barrier();
            },
            Result(33 * 8), no_scratch, 1e-5);
  }
}

void attention(const Kernels& k) {
  struct Stored { KvType type; int32_t bytes; };
  for (const Stored stored : {Stored{KvType::F32, 256}, Stored{KvType::F16, 128}, Stored{KvType::Q8, 68}}) {
    constexpr int32_t dim = 64, heads = 16, kv_heads = 2, page_tokens = 64;
    for (const int32_t length : {5, 90, 1200}) {
      const int32_t count = length == 5 ? 5 : length == 90 ? 40 : 1, before = length - count, page_count = (length + 63) / 64;
      const size_t cache_bytes = static_cast<size_t>(page_count) * kv_heads * page_tokens * static_cast<size_t>(stored.bytes);
      Guarded keys(cache_bytes), values(cache_bytes);
      std::vector<int32_t> pages(static_cast<size_t>(page_count));
      for (int32_t i = 0; i < page_count; i++) pages[static_cast<size_t>(i)] = page_count - 1 - i;
      const KvLayer kv{stored.type, kv_heads, dim, page_tokens, stored.bytes, keys.data, values.data};
      const auto fill = [&](const Kernels& v, Worker& w, int32_t n, int32_t from, float* q, float* kk, const float* vv, const float* angles) {
        const Sequence s{0, n, from, pages.data(), 0};
        v.rope_cache(w, {q, kk, vv, angles, heads, n, kv, &s, 1});
      };
      {  // the cache is written by the scalar variant, and compared with what the variant writes
        const size_t n = static_cast<size_t>(length);
        const std::vector<float> q = floats(n * heads * dim), kk = floats(n * kv_heads * dim), vv = floats(n * kv_heads * dim), angles = floats(n * dim);
        std::vector<uint8_t> written[2];
        Result turned[2];
        const Kernels* both[2] = {&k, scalar_kernels()};
        for (int i = 0; i < 2; i++) {
          std::vector<float> q2 = q, k2 = kk;
          on(*three, [&](Worker& w) { fill(*both[i], w, length, 0, q2.data(), k2.data(), vv.data(), angles.data()); });
          written[i].assign(keys.data, keys.data + cache_bytes);
          turned[i] = q2;
        }
        int64_t different = 0;  // a value at a rounding border may fall to either side
        for (size_t i = 0; i < cache_bytes; i++) different += std::abs(written[0][i] - written[1][i]) > 1 && stored.type == KvType::Q8;
        if (error_of(turned[0], turned[1]) < 1e-6 && different * 1000 < static_cast<int64_t>(cache_bytes)) passed++;
        else failed++, std::printf("FAILED %s rope_cache %d\n", k.name, length);
      }
      const std::vector<float> q = floats(static_cast<size_t>(count) * heads * dim, 2), sinks = floats(heads);
      const Sequence s{0, count, before, pages.data(), 0};
      for (const int32_t window : {0, 32}) {
        compare(k, "attention " + std::to_string(length) + " window " + std::to_string(window),
                [&](const Kernels& v, Worker& w, float* y, uint8_t* scratch, bool exact) {
                  v.attention(w, {q.data(), y, sinks.data(), heads, window, kv, &s, 1, count, exact, scratch});
                },
                Result(static_cast<size_t>(count) * heads * dim), [&](const Kernels& v, bool) { return v.attention_scratch(heads, dim, count); }, 0.02);
      }
    }
  }
}

void probes(const Kernels& k) {
  const std::vector<float> data = floats(1024);
  for (int32_t kind = 0; kind < 4; kind++) {
    const int64_t amount = k.probe(kind, reinterpret_cast<const uint8_t*>(data.data()), 4096);
    if (amount >= (kind < 2 ? 1 : 0)) passed++;
    else failed++, std::printf("FAILED %s probe %d\n", k.name, kind);
  }
}

}  // namespace
}  // namespace gptoss

// Arguments: -NAME leaves a variant out, unless it is the one that would be used here.
int main(int argc, char** argv) {
  using namespace gptoss;
  Team team_of_one(1), team_of_three(3);
  one = &team_of_one;
  three = &team_of_three;
  const std::vector<const Kernels*> usable = usable_kernels();
  for (const Kernels* k : usable) {
    bool left_out = false;
    for (int i = 1; i < argc && k != usable[0]; i++) left_out = left_out || argv[i] == std::string("-") + k->name;
    if (left_out) continue;
    state = 1;
    const int32_t before = passed;
    matmuls(*k);
    rows(*k);
    attention(*k);
    probes(*k);
    const TrainKernels* const trains = train_kernels(k->name);
    if (trains != nullptr && std::string(trains->name) == k->name) {  // several variants share one table
      const Counts counts = check_trainer(*trains);
      passed += counts.passed;
      failed += counts.failed;
    }
    std::printf("%s: %d passed\n", k->name, passed - before);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
