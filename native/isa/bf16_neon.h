// bf16 dot products of ARM: pairs of bf16 values that lie side by side are multiplied and added into a float32 lane.
// Included by the units whose processors have them; GPTOSS_BF16_DOT says so. Names and meaning: bf16_avx512.h.
#pragma once
#include "vec_neon.h"

#define GPTOSS_BF16_DOT 1

namespace {

// As bytes, which may alias anything: attention keeps pairs where its float scores were.
inline bfloat16x8_t load_bf16x8(const uint16_t* p) { return vreinterpretq_bf16_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(p))); }
inline void store_u16(uint16x8_t v, uint16_t* out) { vst1q_u8(reinterpret_cast<uint8_t*>(out), vreinterpretq_u8_u16(v)); }
inline bfloat16x8_t splat_pair(const uint16_t* pair) {
  uint32_t both;
  std::memcpy(&both, pair, 4);
  return vreinterpretq_bf16_u32(vdupq_n_u32(both));
}

// 16 (or 8) pairs, one for each lane.
struct Pairs {
  bfloat16x8_t a, b, c, d;
  static inline Pairs load(const uint16_t* p) { return {load_bf16x8(p), load_bf16x8(p + 8), load_bf16x8(p + 16), load_bf16x8(p + 24)}; }
  static inline Pairs splat(const uint16_t* pair) {
    const bfloat16x8_t v = splat_pair(pair);
    return {v, v, v, v};
  }
};
struct Pairs8 {
  bfloat16x8_t a, b;
  static inline Pairs8 load(const uint16_t* p) { return {load_bf16x8(p), load_bf16x8(p + 8)}; }
  static inline Pairs8 splat(const uint16_t* pair) {
    const bfloat16x8_t v = splat_pair(pair);
    return {v, v};
  }
};

inline Vec dot(Pairs x, Pairs y, Vec sum) {
  return {vbfdotq_f32(sum.a, x.a, y.a), vbfdotq_f32(sum.b, x.b, y.b), vbfdotq_f32(sum.c, x.c, y.c), vbfdotq_f32(sum.d, x.d, y.d)};
}
inline Vec8 dot(Pairs8 x, Pairs8 y, Vec8 sum) { return {vbfdotq_f32(sum.a, x.a, y.a), vbfdotq_f32(sum.b, x.b, y.b)}; }

inline uint16x8_t round_bf16(float32x4_t low, float32x4_t high) {
  return vreinterpretq_u16_bf16(vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(low), high));
}
// 32 values rounded to bf16: a, then b.
inline void store_bf16(Vec a, Vec b, uint16_t* out) {
  store_u16(round_bf16(a.a, a.b), out);
  store_u16(round_bf16(a.c, a.d), out + 8);
  store_u16(round_bf16(b.a, b.b), out + 16);
  store_u16(round_bf16(b.c, b.d), out + 24);
}
inline void store_zipped(uint16x8_t x, uint16x8_t y, uint16_t* out) {
  store_u16(vzip1q_u16(x, y), out);
  store_u16(vzip2q_u16(x, y), out + 8);
}
// 16 pairs (a[i], b[i]).
inline void store_pairs(Vec a, Vec b, uint16_t* out) {
  store_zipped(round_bf16(a.a, a.b), round_bf16(b.a, b.b), out);
  store_zipped(round_bf16(a.c, a.d), round_bf16(b.c, b.d), out + 16);
}
// 8 pairs (a[i], a[i + 8]).
inline void store_pairs8(Vec a, uint16_t* out) { store_zipped(round_bf16(a.a, a.b), round_bf16(a.c, a.d), out); }

}  // namespace
