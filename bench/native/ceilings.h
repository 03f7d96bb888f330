// What this machine can do at most: streaming reads of memory, and multiply-adds per second of each kind of dot-product
// instruction, with all given threads at once. Figures of the workbench are shown as shares of these.
#pragma once
#include <immintrin.h>

#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include <sys/mman.h>

namespace gptoss {

struct Ceilings {
  double read = 0;                                            // bytes/s
  double int8 = 0, bf16 = 0, f32 = 0, int8_avx2 = 0, f32_avx2 = 0;  // multiply-adds/s
};

template <class F>
double together(int threads, F fn) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> all;
  for (int i = 0; i < threads; i++) all.emplace_back(fn, i);
  for (std::thread& t : all) t.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// 12 independent chains of one instruction. The empty asm keeps the compiler from folding the loop.
#define GPTOSS_CHAINS(NAME, TARGET, TYPE, STEP)                                     \
  __attribute__((target(TARGET))) inline void NAME(long n) {                        \
    TYPE s[12], a{}, b{};                                                           \
    for (TYPE& x : s) x = TYPE{};                                                   \
    asm volatile("" : "+v"(a), "+v"(b));                                            \
    for (long i = 0; i < n; i++) {                                                  \
      for (TYPE& x : s) x = STEP(x, a, b);                                          \
      asm volatile("" : "+v"(s[0]), "+v"(s[5]));                                    \
    }                                                                               \
    for (TYPE& x : s) asm volatile("" : : "v"(x));                                  \
  }
#define GPTOSS_BF16(x, a, b) _mm512_dpbf16_ps(x, (__m512bh)(a), (__m512bh)(b))
#define GPTOSS_FMA512(x, a, b) _mm512_fmadd_ps(a, b, x)
#define GPTOSS_FMA256(x, a, b) _mm256_fmadd_ps(a, b, x)
GPTOSS_CHAINS(chains_int8, "avx512f,avx512vnni", __m512i, _mm512_dpbusd_epi32)
GPTOSS_CHAINS(chains_bf16, "avx512f,avx512bf16", __m512, GPTOSS_BF16)
GPTOSS_CHAINS(chains_f32, "avx512f", __m512, GPTOSS_FMA512)
GPTOSS_CHAINS(chains_f32_avx2, "avx2,fma", __m256, GPTOSS_FMA256)

// vpmaddubsw alone (its sums must be widened and added as well; the share shows what that costs).
__attribute__((target("avx2"))) inline void chains_int8_avx2(long n) {
  __m256i s[12], b{};
  for (__m256i& x : s) x = __m256i{};
  asm volatile("" : "+v"(b));
  for (long i = 0; i < n; i++) {
    for (__m256i& x : s) x = _mm256_maddubs_epi16(x, b);
    asm volatile("" : "+v"(s[0]), "+v"(s[5]));
  }
  for (__m256i& x : s) asm volatile("" : : "v"(x));
}

__attribute__((target("avx512f"))) inline void stream(const char* p, size_t n) {
  __m512i a{}, b{}, c{}, d{};
  for (size_t i = 0; i < n; i += 256) {
    for (int k = 0; k < 4; k++) _mm_prefetch(p + i + 1024 + k * 64, _MM_HINT_T0);
    a = _mm512_add_epi32(a, _mm512_load_si512(p + i));
    b = _mm512_add_epi32(b, _mm512_load_si512(p + i + 64));
    c = _mm512_add_epi32(c, _mm512_load_si512(p + i + 128));
    d = _mm512_add_epi32(d, _mm512_load_si512(p + i + 192));
  }
  asm volatile("" : : "v"(a), "v"(b), "v"(c), "v"(d));
}

inline Ceilings measure_ceilings(int threads) {
  Ceilings c;
  const long n = 6'000'000;
  auto rate = [&](void (*fn)(long), double macs) {
    double best = 0;
    for (int i = 0; i < 4; i++) {
      const double t = together(threads, [&](int) { fn(n); });
      if (threads * n * 12 * macs / t > best) best = threads * n * 12 * macs / t;
    }
    return best;
  };
  if (__builtin_cpu_supports("avx512vnni")) c.int8 = rate(chains_int8, 64);
  if (__builtin_cpu_supports("avx512bf16")) c.bf16 = rate(chains_bf16, 32);
  if (__builtin_cpu_supports("avx512f")) c.f32 = rate(chains_f32, 16);
  c.int8_avx2 = rate(chains_int8_avx2, 32);
  c.f32_avx2 = rate(chains_f32_avx2, 8);
  const size_t bytes = size_t{1} << 30;
  char* p = static_cast<char*>(mmap(nullptr, bytes + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (p == MAP_FAILED) return c;
  madvise(p, bytes, MADV_HUGEPAGE);
  for (size_t i = 0; i < bytes; i += 4096) p[i] = 1;
  if (__builtin_cpu_supports("avx512f")) {
    for (int i = 0; i < 6; i++) {
      const double t = together(threads, [&](int id) { stream(p + bytes / threads * id, bytes / threads / 256 * 256); });
      if (bytes / t > c.read) c.read = bytes / t;
    }
  }
  munmap(p, bytes + 4096);
  return c;
}

inline void print(const Ceilings& c, int threads) {
  std::printf("ceilings, %d thread%s: read %.1f GB/s; GMAC/s: vpdpbusd %.0f, vdpbf16ps %.0f, fma512 %.0f, vpmaddubsw256 %.0f, fma256 %.0f\n", threads,
              threads == 1 ? "" : "s", c.read / 1e9, c.int8 / 1e9, c.bf16 / 1e9, c.f32 / 1e9, c.int8_avx2 / 1e9, c.f32_avx2 / 1e9);
}

}  // namespace gptoss
