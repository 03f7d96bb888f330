// Workbench for the matmul kernels, without Node: random weights of every type, checked against a naive double-precision
// product, and timed beside this machine's measured ceilings. `bench/native/run.sh check|speed|ceilings [options]` builds
// and runs it. Options: --isa NAME (default all for check, the best for speed) --threads N (2) --only TEXT (substring of a
// row's name) --file PATH (weights in a mapped file at PATH instead of huge pages) --ms N (time per figure, 300)
// --cpu (processor time instead of time passed: for a machine that others use; best with --threads 1)
// --pin (one worker to each processor)
// --hot (320 rows of weights that stay in cache, instead of weights from memory)
// Next: native/kernels.h.
#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../native/isa/vec_scalar.h"
#include "../../native/dispatch.h"
#include "../../native/team.h"

namespace gptoss {
namespace {
#include "../../native/kernels/decode.inl"

struct Named { const char* name; DType type; };
const Named kTypes[] = {
    {"f32", DType::F32}, {"f16", DType::F16}, {"bf16", DType::BF16}, {"q8_0", DType::Q8_0}, {"mxfp4", DType::MXFP4},
    {"mxfp4-pairs", DType::MXFP4_PAIRS}, {"mxfp4-split", DType::MXFP4_SPLIT}, {"q4_0", DType::Q4_0}, {"q4_1", DType::Q4_1},
    {"q5_0", DType::Q5_0}, {"q5_1", DType::Q5_1}, {"iq4_nl", DType::IQ4_NL}, {"q2_k", DType::Q2_K}, {"q3_k", DType::Q3_K},
    {"q4_k", DType::Q4_K}, {"q5_k", DType::Q5_K}, {"q6_k", DType::Q6_K},
};
const char* name_of(DType t) {
  for (const Named& n : kTypes) if (n.type == t) return n.name;
  return "?";
}

std::mt19937_64 rng(1);
double uniform() { return std::uniform_real_distribution<double>(-1, 1)(rng); }
float gaussian() { return std::normal_distribution<float>(0, 1)(rng); }

// Options of one run.
struct Options {
  std::string mode = "check", isa, only, file;
  int threads = 2;
  double ms = 300;
  bool cpu = false, hot = false, pin = false;
} options;

struct Bytes {
  uint8_t* data = nullptr;
  size_t size = 0;
  explicit Bytes(size_t n, bool weights = false) : size(n + 64) {
    if (weights && !options.file.empty()) {
      const int fd = open(options.file.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
      if (fd < 0 || ftruncate(fd, static_cast<off_t>(size)) != 0) std::exit(1);
      data = static_cast<uint8_t*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
      close(fd);
    } else {
      data = static_cast<uint8_t*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
      if (data != MAP_FAILED) madvise(data, size, MADV_HUGEPAGE);
    }
    if (data == MAP_FAILED) {
      std::perror("mmap");
      std::exit(1);
    }
  }
  Bytes(const Bytes&) = delete;
  ~Bytes() { munmap(data, size); }
};

// Floats at 64-byte boundaries, as the runtime's buffers are.
template <class T>
struct Aligned {
  using value_type = T;
  Aligned() = default;
  template <class U> Aligned(const Aligned<U>&) {}
  T* allocate(size_t n) { return static_cast<T*>(std::aligned_alloc(64, (n * sizeof(T) + 63) / 64 * 64)); }
  void deallocate(T* p, size_t) { std::free(p); }
  template <class U> bool operator==(const Aligned<U>&) const { return true; }
};
using Values = std::vector<float, Aligned<float>>;

void put_half(uint8_t* p, float f) {
  const uint16_t h = f32_to_f16(f);
  std::memcpy(p, &h, 2);
}

// Fills whole groups with healthy random values (about ±1 after decoding).
void fill(DType t, uint8_t* p, size_t bytes) {
  const GroupSize g = group_size(t);
  if (g.values == 1) {
    static Values some;
    if (some.empty()) for (int i = 0; i < 4099; i++) some.push_back(gaussian() * 0.5f);
    for (size_t i = 0; i < bytes / g.bytes; i++) {
      const float f = some[i % 4099];
      uint32_t bits;
      std::memcpy(&bits, &f, 4);
      if (t == DType::F32) std::memcpy(p + 4 * i, &f, 4);
      else if (t == DType::F16) put_half(p + 2 * i, f);
      else { const uint16_t h = static_cast<uint16_t>(bits >> 16); std::memcpy(p + 2 * i, &h, 2); }
    }
    return;
  }
  uint64_t state = rng();
  for (size_t i = 0; i + 8 <= bytes; i += 8) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    const uint64_t v = state ^ (state >> 29);
    std::memcpy(p + i, &v, 8);
  }
  for (uint8_t* q = p; q + g.bytes <= p + bytes; q += g.bytes) {
    const float small = 0.01f * (1 + (q[1] & 7)) / 8;
    switch (t) {
      case DType::MXFP4: case DType::MXFP4_PAIRS: q[0] = 121 + (q[0] & 3); break;
      case DType::Q8_0: put_half(q, small); break;
      case DType::Q4_0: case DType::Q5_0: case DType::IQ4_NL: put_half(q, t == DType::IQ4_NL ? small : 10 * small); break;
      case DType::Q4_1: case DType::Q5_1: put_half(q, 10 * small); put_half(q + 2, -50 * small); break;
      case DType::Q2_K: put_half(q + 80, small * 4); put_half(q + 82, small * 4); break;
      case DType::Q3_K: put_half(q + 108, small * 2); break;
      case DType::Q4_K: case DType::Q5_K: put_half(q, small / 4); put_half(q + 2, small / 2); break;
      case DType::Q6_K: put_half(q + 208, small / 20); break;
      default: break;
    }
  }
}

struct Weights {
  Matrix m{};
  std::unique_ptr<Bytes> bytes, scales;
};

// kind: 0 plain, 1 strided (every other row is ours, as in interleaved gate/up), 2 transposed.
Weights make(DType t, int experts, int rows, int cols, int kind = 0) {
  Weights w;
  const GroupSize g = group_size(t);
  const int64_t row = static_cast<int64_t>(cols / g.values) * g.bytes, all = kind == 1 ? 2 * rows : rows;
  w.m = Matrix{t, experts, rows, cols, nullptr, row * (kind == 1 ? 2 : 1), row * all, nullptr, 0, 0, 0};
  if (kind == 2) {
    w.m.row_stride = g.bytes;
    w.m.col_stride = static_cast<int64_t>(g.bytes) * rows;
  }
  w.bytes = std::make_unique<Bytes>(static_cast<size_t>(row * all * experts), true);
  fill(t, w.bytes->data, static_cast<size_t>(row * all * experts));
  w.m.data = w.bytes->data;
  if (t == DType::MXFP4_SPLIT) {
    const int64_t groups = cols / 32;
    w.scales = std::make_unique<Bytes>(static_cast<size_t>(groups * all * experts));
    for (int64_t i = 0; i < groups * all * experts; i++) w.scales->data[i] = static_cast<uint8_t>(121 + (rng() & 3));
    w.m.scales = w.scales->data;
    w.m.scale_row_stride = groups * (kind == 1 ? 2 : 1);
    w.m.scale_expert_stride = groups * all;
  }
  return w;
}

Values randoms(size_t n, float scale = 1) {
  Values v(n);
  for (float& x : v) x = gaussian() * scale;
  return v;
}

struct Runner {
  Team team;
  explicit Runner(int threads) : team(threads) {
    if (options.pin) {
      run([](Worker& w) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(w.id, &one);
        pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
      });
    }
  }
  void run(const std::function<void(Worker&)>& work) {
    std::mutex mutex;
    std::condition_variable wake;
    bool done = false;
    auto job = std::make_unique<Job>();
    job->work = work;
    job->done = [&] {
      std::lock_guard<std::mutex> lock(mutex);
      done = true;
      wake.notify_one();
    };
    team.submit(std::move(job));
    std::unique_lock<std::mutex> lock(mutex);
    wake.wait(lock, [&] { return done; });
  }
};

double clock_seconds(clockid_t id) {
  timespec t;
  clock_gettime(id, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}
double now() {
  return options.cpu ? clock_seconds(CLOCK_PROCESS_CPUTIME_ID) / options.threads : clock_seconds(CLOCK_MONOTONIC);
}

// ---- naive reference -------------------------------------------------------------------------------------------------

double dot(const Matrix& m, int expert, int row, const float* x) {
  static thread_local Values w;
  w.resize(static_cast<size_t>(m.cols));
  decode_row(m, expert, row, w.data());
  double sum = 0;
  for (int k = 0; k < m.cols; k++) sum += static_cast<double>(w[k]) * x[k];
  return sum;
}

struct Error {
  double largest = 0, worst = 0, squares = 0, error_squares = 0;
  bool finite = true;
  void add(double got, double want) {
    if (!std::isfinite(got)) finite = false;
    largest = std::max(largest, std::fabs(want));
    worst = std::max(worst, std::fabs(got - want));
    squares += want * want;
    error_squares += (got - want) * (got - want);
  }
  double relative() const { return worst / std::max(largest, 1e-30); }
  double rms() const { return std::sqrt(error_squares / std::max(squares, 1e-60)); }
};

int failures = 0;
void report(const std::string& name, const Error& e, bool exact, bool same_bits) {
  const bool ok = e.finite && same_bits && (exact ? e.relative() <= 1e-5 : e.rms() <= 0.02);
  if (!ok) failures++;
  if (!ok || !options.only.empty()) {
    std::printf("%-64s %s  worst/largest %.2e  rms %.2e%s\n", name.c_str(), ok ? "ok  " : "FAIL", e.relative(), e.rms(),
                same_bits ? "" : "  bits differ in company");
  }
}

bool same(const float* a, const float* b, size_t n) { return std::memcmp(a, b, n * 4) == 0; }

void check_linear(const Kernels& k, Runner& r, DType t, int rows, int cols, int tokens, int kind, bool exact, bool add) {
  Weights w = make(t, 1, rows, cols, kind);
  const Values x = randoms(static_cast<size_t>(tokens) * cols), bias = randoms(static_cast<size_t>(rows), 10);
  const Values start = randoms(static_cast<size_t>(tokens) * rows, 10);
  Values y = start, one = start;
  Bytes scratch(k.linear_scratch(w.m, tokens, exact));
  LinearArgs a{&w.m, bias.data(), x.data(), y.data(), tokens, add, exact, scratch.data};
  r.run([&](Worker& worker) { k.linear(worker, a); });
  Error e;
  for (int i = 0; i < tokens; i++)
    for (int o = 0; o < rows; o++) {
      const size_t at = static_cast<size_t>(i) * rows + o;
      e.add(y[at], dot(w.m, 0, o, x.data() + static_cast<size_t>(i) * cols) + bias[o] + (add ? start[at] : 0));
    }
  bool bits = true;
  if (exact) {  // each row alone
    for (int i = 0; i < tokens; i += 1 + tokens / 3) {
      LinearArgs b{&w.m, bias.data(), x.data() + static_cast<size_t>(i) * cols, one.data() + static_cast<size_t>(i) * rows, 1, add, true, scratch.data};
      r.run([&](Worker& worker) { k.linear(worker, b); });
      bits = bits && same(&one[static_cast<size_t>(i) * rows], &y[static_cast<size_t>(i) * rows], static_cast<size_t>(rows));
    }
  }
  report(std::string(k.name) + " linear " + name_of(t) + " " + std::to_string(rows) + "x" + std::to_string(cols) + " kind " +
             std::to_string(kind) + " tokens " + std::to_string(tokens) + (exact ? " exact" : " fast"), e, exact, bits);
}

void check_moe(const Kernels& k, Runner& r, DType t, int experts, int inner, int hidden, int tokens, int top, int kind, bool exact) {
  Weights gate = make(t, experts, inner, hidden, kind), up = make(t, experts, inner, hidden, kind);
  Weights down = make(t, experts, hidden, inner, kind == 2 ? 2 : 0);
  const size_t H = static_cast<size_t>(hidden), I = static_cast<size_t>(inner);
  const Values x = randoms(H * tokens, 3.0f / std::sqrt(static_cast<float>(hidden)));
  const Values bg = randoms(I * experts), bu = randoms(I * experts), bd = randoms(H * experts);
  std::vector<int32_t> ids;
  Values gates;
  for (int i = 0; i < tokens; i++) {
    std::vector<int32_t> all(static_cast<size_t>(experts));
    for (int e = 0; e < experts; e++) all[static_cast<size_t>(e)] = e;
    std::shuffle(all.begin(), all.end(), rng);
    for (int j = 0; j < top; j++) ids.push_back(all[static_cast<size_t>(j)]), gates.push_back(static_cast<float>(0.5 + 0.4 * uniform()));
  }
  Values h(I * top * tokens), start = randoms(H * tokens), y = start, h1(I * top), y1(H);
  Bytes scratch(std::max(k.moe_up_scratch(gate.m, tokens, top, exact), k.moe_down_scratch(down.m, tokens, top, exact)));
  MoeUpArgs a{&gate.m, &up.m, bg.data(), bu.data(), x.data(), ids.data(), h.data(), tokens, top, 1.702f, 7.0f, exact, scratch.data};
  r.run([&](Worker& worker) { k.moe_up(worker, a); });
  MoeDownArgs b{&down.m, bd.data(), h.data(), ids.data(), gates.data(), y.data(), tokens, top, exact, scratch.data};
  r.run([&](Worker& worker) { k.moe_down(worker, b); });
  Error eu, ed;
  for (int i = 0; i < tokens; i++) {
    std::vector<double> sum(H);
    for (int j = 0; j < top; j++) {
      const size_t p = static_cast<size_t>(i) * top + j;
      const int e = ids[p];
      for (int o = 0; o < inner; o++) {
        double g = dot(gate.m, e, o, &x[H * i]) + bg[e * I + o], u = dot(up.m, e, o, &x[H * i]) + bu[e * I + o];
        g = std::min(g, 7.0);
        u = std::clamp(u, -7.0, 7.0);
        eu.add(h[p * I + o], g / (1 + std::exp(-1.702 * g)) * (u + 1));
      }
      for (int o = 0; o < hidden; o++) sum[o] += static_cast<double>(gates[p]) * (dot(down.m, e, o, &h[p * I]) + bd[e * H + o]);
    }
    for (int o = 0; o < hidden; o++) ed.add(y[H * i + o], start[H * i + o] + sum[o]);
  }
  bool bu_same = true, bd_same = true;
  if (exact) {
    for (int i = 0; i < tokens; i += 1 + tokens / 3) {
      MoeUpArgs a1 = a;
      a1.x += H * i, a1.ids += i * top, a1.h = h1.data(), a1.rows = 1;
      r.run([&](Worker& worker) { k.moe_up(worker, a1); });
      bu_same = bu_same && same(h1.data(), &h[I * top * i], I * top);
      std::copy(&start[H * i], &start[H * i] + H, y1.begin());
      MoeDownArgs b1 = b;
      b1.h += I * top * i, b1.ids += i * top, b1.gates += i * top, b1.y = y1.data(), b1.rows = 1;
      r.run([&](Worker& worker) { k.moe_down(worker, b1); });
      bd_same = bd_same && same(y1.data(), &y[H * i], H);
    }
  }
  const std::string name = std::string(name_of(t)) + " E" + std::to_string(experts) + " I" + std::to_string(inner) + " H" + std::to_string(hidden) +
                           " kind " + std::to_string(kind) + " tokens " + std::to_string(tokens) + " top " + std::to_string(top) + (exact ? " exact" : " fast");
  report(std::string(k.name) + " moe_up " + name, eu, exact, bu_same);
  report(std::string(k.name) + " moe_down " + name, ed, exact, bd_same);
}

void check(const Kernels& k) {
  Runner r(options.threads);
  const int before = failures;
  int cases = 0;
  for (const Named& n : kTypes) {
    if (!options.only.empty() && std::string(n.name).find(options.only) == std::string::npos) continue;
    const GroupSize g = group_size(n.type);
    const int unit = g.values;
    for (int kind = 0; kind < (unit == 1 ? 3 : 2); kind++) {
      for (const bool exact : {true, false}) {
        for (const int tokens : {1, 2, 3, 5, 7, 12, 33, 70, 131}) {
          const int cols = unit == 1 ? (tokens == 3 ? 300 : 131) : unit == 32 ? 32 * (1 + tokens % 5) + 256 * (tokens % 3) : 512;
          check_linear(k, r, n.type, 5 + 13 * (tokens % 4) + (tokens > 60 ? 64 : 0) + (unit == 1 && !exact ? 256 : 0), cols, tokens, kind, exact, tokens & 1);
          cases++;
        }
        const int hidden = unit == 1 ? 70 : unit == 32 ? 160 : 512, inner = unit == 1 ? 37 : unit == 32 ? 96 : 256;
        for (const int tokens : {1, 2, 6, 40}) check_moe(k, r, n.type, 6, inner, hidden, tokens, 3, kind, exact), cases += 2;
      }
    }
    check_linear(k, r, n.type, 70, unit == 256 ? 4096 : 2880, 9, 0, false, false);
    check_linear(k, r, n.type, 70, unit == 256 ? 4096 : 2880, 100, 0, false, false);
    check_linear(k, r, n.type, 70, unit == 256 ? 4096 : 2880, 1, 0, false, false);
    cases += 3;
  }
  std::printf("%s: %d cases, %d failed\n", k.name, cases, failures - before);
}

// ---- speed -----------------------------------------------------------------------------------------------------------

struct Ceilings { double read = 0, f32 = 0, bf16 = 0, int8 = 0; } limits;  // bytes/s, multiply-adds/s

// The ISA's own probes (native/kernels/probe.inl) on all threads. Memory is read from the same kind of mapping as the
// weights, and again beside every figure that it limits: on a shared machine it changes from minute to minute.
double probe_rate(const Kernels& k, Runner& r, int kind, const uint8_t* data, int64_t amount, int rounds) {
  double best = 0;
  for (int i = 0; i < rounds; i++) {
    int64_t done = 0;
    const double t = now();
    r.run([&](Worker& w) {
      const int64_t n = k.probe(kind, data + static_cast<int64_t>(w.id) * (kind == 0 ? amount : 0), amount);
      if (w.id == 0) done = n;
    });
    best = std::max(best, static_cast<double>(done) * options.threads / (now() - t));
  }
  return best;
}
constexpr size_t kReadBytes = size_t{400} << 20;
double read_rate(const Kernels& k, Runner& r, int rounds) {
  static Bytes data(kReadBytes, true);
  static const bool touched = (std::memset(data.data, 1, kReadBytes), true);
  return touched ? probe_rate(k, r, 0, data.data, static_cast<int64_t>(kReadBytes) / options.threads / 4096 * 4096, rounds) : 0;
}
Ceilings measure(const Kernels& k, Runner& r) {
  Ceilings c;
  c.read = read_rate(k, r, 10);
  c.f32 = probe_rate(k, r, 1, nullptr, 2000000, 8);
  c.bf16 = probe_rate(k, r, 2, nullptr, 2000000, 8);
  c.int8 = probe_rate(k, r, 3, nullptr, 2000000, 8);
  std::printf("%s, %d threads; ceilings: read %.1f GB/s; int8 %.0f, bf16 %.0f, f32 %.0f GMAC/s\n", k.name, options.threads, c.read / 1e9, c.int8 / 1e9,
              c.bf16 / 1e9, c.f32 / 1e9);
  return c;
}

// Seconds per call, best of several rounds within the time budget; memory's speed is probed in between.
template <class F>
double best_of(const Kernels& k, Runner& r, bool memory, F fn) {
  fn();
  double best = 1e9, end = now() + options.ms / 1000;
  if (memory) limits.read = 0;
  for (int rounds = 0; rounds < 3 || now() < end; rounds++) {
    const double t = now();
    fn();
    best = std::min(best, now() - t);
    if (memory) limits.read = std::max(limits.read, read_rate(k, r, 1));
  }
  return best;
}

void line(const std::string& name, double seconds, double bytes, double macs, double peak) {
  std::printf("%-44s %9.1f us  %6.1f GB/s %4.0f%%  %7.1f GMAC/s %4.0f%%\n", name.c_str(), seconds * 1e6, bytes / seconds / 1e9,
              100 * bytes / seconds / limits.read, macs / seconds / 1e9, 100 * macs / seconds / peak);
  std::fflush(stdout);
}

double peak_of(DType t) {
  if (group_size(t).values == 1) return limits.bf16 > 0 ? limits.bf16 : limits.f32;
  return limits.int8 > 0 ? limits.int8 : limits.f32;
}

bool wanted(const std::string& name) { return options.only.empty() || name.find(options.only) != std::string::npos; }

void speed_linear(const Kernels& k, Runner& r, DType t, int rows, int cols, const std::vector<int>& tokens, bool exact) {
  std::vector<int> todo;
  auto name = [&](int n) { return std::string(exact ? "exact " : "") + "linear " + name_of(t) + " " + std::to_string(rows) + "x" + std::to_string(cols) + " rows " + std::to_string(n); };
  for (const int n : tokens) if (wanted(name(n))) todo.push_back(n);
  if (todo.empty()) return;
  const GroupSize g = group_size(t);
  const double size = static_cast<double>(rows) * (cols / g.values) * g.bytes;
  // Walk more than any cache holds, or (hot) stay in the level 2 cache.
  const int copies = options.hot ? 1 : std::max(1, static_cast<int>(600e6 / size));
  Weights w = make(t, copies, rows, cols);
  const Values bias = randoms(static_cast<size_t>(rows));
  for (const int n : todo) {
    const Values x = randoms(static_cast<size_t>(n) * cols);
    Values y(static_cast<size_t>(n) * rows);
    Bytes scratch(k.linear_scratch(w.m, n, exact));
    const int batch = options.hot ? 100 : n <= 16 ? std::min(copies, std::max(1, static_cast<int>(200e6 / size))) : 1;
    int at = 0;
    const double s = best_of(k, r, n <= 4, [&] {
      r.run([&](Worker& worker) {
        for (int i = 0; i < batch; i++) {
          Matrix m = w.m;
          m.data += ((at + i) % copies) * m.expert_stride;
          LinearArgs a{&m, bias.data(), x.data(), y.data(), n, false, exact, scratch.data};
          k.linear(worker, a);
          worker.barrier();
        }
      });
      at += batch;
    }) / batch;
    line(name(n), s, size, static_cast<double>(rows) * cols * n, exact ? limits.f32 : peak_of(t));
  }
}

void speed_moe(const Kernels& k, Runner& r, DType t, int experts, int inner, int hidden, bool exact) {
  const char* suffix = exact ? "exact " : "";
  const int top = 4;
  std::vector<int> per_expert{0, 1, 2, 3, 4, 6, 8, 12, 16, 30, 60, 120, 256};
  auto name = [&](const char* op, int n) { return std::string(suffix) + op + " " + name_of(t) + (n ? " tokens/expert " + std::to_string(n) : " decode"); };
  bool any = false;
  for (const int n : per_expert) any = any || wanted(name("moe_up", n)) || wanted(name("moe_down", n));
  if (!any) return;
  Weights gate = make(t, experts, inner, hidden), up = make(t, experts, inner, hidden), down = make(t, experts, hidden, inner);
  const GroupSize g = group_size(t);
  const double size = static_cast<double>(inner) * (hidden / g.values) * (g.bytes + (t == DType::MXFP4_SPLIT));
  const Values bg = randoms(static_cast<size_t>(inner) * experts), bd = randoms(static_cast<size_t>(hidden) * experts);
  for (const int n : per_expert) {
    const bool want_up = wanted(name("moe_up", n)), want_down = wanted(name("moe_down", n));
    if (!want_up && !want_down) continue;
    const int rows = n == 0 ? 1 : experts * n / top, steps = n == 0 ? experts / top : 1;
    const Values x = randoms(static_cast<size_t>(rows) * hidden, 0.05f);
    Values h = randoms(static_cast<size_t>(rows) * top * inner), y(static_cast<size_t>(rows) * hidden), gates(static_cast<size_t>(rows) * top * steps, 0.25f);
    std::vector<int32_t> ids(static_cast<size_t>(rows) * top * steps);
    std::vector<int32_t> shuffled(ids.size());
    for (size_t i = 0; i < ids.size(); i++) ids[i] = static_cast<int32_t>(i % experts);
    Bytes scratch(std::max(k.moe_up_scratch(gate.m, rows, top, exact), k.moe_down_scratch(down.m, rows, top, exact)));
    const double experts_read = n == 0 ? top : experts, macs = static_cast<double>(rows) * top * inner * hidden;
    if (want_up) {
      const double s = best_of(k, r, n <= 4, [&] {
        r.run([&](Worker& worker) {
          for (int i = 0; i < steps; i++) {
            MoeUpArgs a{&gate.m, &up.m, bg.data(), bg.data(), x.data(), ids.data() + i * top, h.data(), rows, top, 1.702f, 7.0f, exact, scratch.data};
            k.moe_up(worker, a);
            worker.barrier();
          }
        });
      }) / steps;
      line(name("moe_up", n), s, 2 * size * experts_read, 2 * macs, exact ? limits.f32 : peak_of(t));
    }
    if (want_down) {
      const double s = best_of(k, r, n <= 4, [&] {
        r.run([&](Worker& worker) {
          for (int i = 0; i < steps; i++) {
            MoeDownArgs a{&down.m, bd.data(), h.data(), ids.data() + i * top, gates.data(), y.data(), rows, top, exact, scratch.data};
            k.moe_down(worker, a);
            worker.barrier();
          }
        });
      }) / steps;
      line(name("moe_down", n), s, size * experts_read, macs, exact ? limits.f32 : peak_of(t));
    }
  }
}

void speed(const Kernels& k) {
  Runner r(options.threads);
  limits = measure(k, r);
  if (options.mode == "ceilings") return;
  std::printf("weights in %s; shares are of the ceilings above\n", options.file.empty() ? "huge pages" : "a mapped file");
  if (options.hot) {
    for (const Named& n : kTypes) speed_linear(k, r, n.type, 320, group_size(n.type).values == 256 ? 2816 : 2880, {1, 2, 3, 4, 6, 12, 30, 60, 120}, false);
    return;
  }
  for (const DType t : {DType::MXFP4, DType::MXFP4_SPLIT, DType::Q8_0, DType::BF16}) {
    speed_moe(k, r, t, t == DType::MXFP4 || t == DType::MXFP4_SPLIT ? 32 : 8, 2880, 2880, false);
  }
  const std::vector<int> tokens{1, 2, 3, 4, 6, 8, 12, 16, 64, 512};
  for (const DType t : {DType::Q8_0, DType::BF16, DType::F16, DType::F32, DType::Q4_0, DType::Q5_0, DType::Q5_1}) speed_linear(k, r, t, 4096, 2880, tokens, false);
  for (const DType t : {DType::Q4_K, DType::Q6_K}) speed_linear(k, r, t, 2880, 4096, {1, 4, 64, 512}, false);
  for (const DType t : {DType::Q8_0, DType::BF16}) speed_linear(k, r, t, 201088, 2880, {1, 8}, false);
  speed_linear(k, r, DType::F32, 32, 2880, {1, 512}, false);
  speed_moe(k, r, DType::MXFP4, 32, 2880, 2880, true);
  for (const DType t : {DType::Q8_0, DType::BF16}) speed_linear(k, r, t, 4096, 2880, {1, 4, 64}, true);
}


}  // namespace
}  // namespace gptoss

int main(int argc, char** argv) {
  using namespace gptoss;
  for (int i = 1; i < argc; i++) {
    const std::string a = argv[i];
    auto value = [&] { return std::string(i + 1 < argc ? argv[++i] : ""); };
    if (a == "--isa") options.isa = value();
    else if (a == "--threads") options.threads = std::atoi(value().c_str());
    else if (a == "--only") options.only = value();
    else if (a == "--file") options.file = value();
    else if (a == "--cpu") options.cpu = true;
    else if (a == "--pin") options.pin = true;
    else if (a == "--hot") options.hot = true;
    else if (a == "--ms") options.ms = std::atof(value().c_str());
    else options.mode = a;
  }
  const std::vector<const Kernels*> all = usable_kernels();
  for (const Kernels* k : all) {
    if (!options.isa.empty() ? options.isa != k->name : options.mode != "check" && k != all[0]) continue;
    options.mode == "check" ? check(*k) : speed(*k);
  }
  return failures == 0 ? 0 : 1;
}
