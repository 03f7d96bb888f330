// bf16 dot products of AVX-512 BF16 for attention: pairs of bf16 values that lie side by side are multiplied and added
// into a float32 lane. Included by the units whose processors have them; GPTOSS_BF16_DOT says so to attention.inl.
#pragma once
#include "vec_avx512.h"

#define GPTOSS_BF16_DOT 1

namespace {

// 16 (or 8) pairs, one for each lane.
struct Pairs {
  __m512i v;
  static inline Pairs load(const uint16_t* p) { return {_mm512_loadu_si512(p)}; }
  static inline Pairs splat(const uint16_t* pair) {
    int32_t both;
    std::memcpy(&both, pair, 4);
    return {_mm512_set1_epi32(both)};
  }
};
struct Pairs8 {
  __m256i v;
  static inline Pairs8 load(const uint16_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
  static inline Pairs8 splat(const uint16_t* pair) {
    int32_t both;
    std::memcpy(&both, pair, 4);
    return {_mm256_set1_epi32(both)};
  }
};

inline Vec dot(Pairs a, Pairs b, Vec sum) { return {_mm512_dpbf16_ps(sum.v, (__m512bh)a.v, (__m512bh)b.v)}; }
inline Vec8 dot(Pairs8 a, Pairs8 b, Vec8 sum) { return {_mm256_dpbf16_ps(sum.v, (__m256bh)a.v, (__m256bh)b.v)}; }

// 32 values rounded to bf16: a, then b.
inline void store_bf16(Vec a, Vec b, uint16_t* out) { _mm512_storeu_si512(out, (__m512i)_mm512_cvtne2ps_pbh(b.v, a.v)); }
// 16 pairs (a[i], b[i]).
inline void store_pairs(Vec a, Vec b, uint16_t* out) {
  const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(b.v, a.v);  // a in the lower half
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5,
                                         20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  _mm512_storeu_si512(out, _mm512_permutexvar_epi16(order, both));
}
// 8 pairs (a[i], a[i + 8]).
inline void store_pairs8(Vec a, uint16_t* out) {
  const __m256i both = (__m256i)_mm512_cvtneps_pbh(a.v);
  const __m256i order = _mm256_set_epi16(15, 7, 14, 6, 13, 5, 12, 4, 11, 3, 10, 2, 9, 1, 8, 0);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permutexvar_epi16(order, both));
}

}  // namespace
