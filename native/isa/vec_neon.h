// Vec on 64-bit ARM (NEON): four registers of 4 lanes (lanes 0-3, 4-7, 8-11, 12-15). Names and meaning: vec_scalar.h.
#pragma once
#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace {

struct Vec {
  float32x4_t a, b, c, d;

  static inline Vec zero() { return set(0.0f); }
  static inline Vec set(float x) {
    const float32x4_t v = vdupq_n_f32(x);
    return {v, v, v, v};
  }
  static inline Vec load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}; }
  inline void store(float* p) const {
    vst1q_f32(p, a);
    vst1q_f32(p + 4, b);
    vst1q_f32(p + 8, c);
    vst1q_f32(p + 12, d);
  }
};

constexpr int kVecAccumulators = 6;  // 32 registers, four to a Vec

// A NaN on the right is ignored and one on the left kept, as in vec_scalar.h.
inline float32x4_t lesser(float32x4_t x, float32x4_t y) { return vbslq_f32(vcltq_f32(y, x), y, x); }
inline float32x4_t greater(float32x4_t x, float32x4_t y) { return vbslq_f32(vcgtq_f32(y, x), y, x); }
inline float32x4_t scale2(float32x4_t x, float32x4_t n) {
  const int32x4_t e = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23);
  return vmulq_f32(x, vreinterpretq_f32_s32(e));
}

inline Vec operator+(Vec x, Vec y) { return {vaddq_f32(x.a, y.a), vaddq_f32(x.b, y.b), vaddq_f32(x.c, y.c), vaddq_f32(x.d, y.d)}; }
inline Vec operator-(Vec x, Vec y) { return {vsubq_f32(x.a, y.a), vsubq_f32(x.b, y.b), vsubq_f32(x.c, y.c), vsubq_f32(x.d, y.d)}; }
inline Vec operator*(Vec x, Vec y) { return {vmulq_f32(x.a, y.a), vmulq_f32(x.b, y.b), vmulq_f32(x.c, y.c), vmulq_f32(x.d, y.d)}; }
inline Vec vdivide(Vec x, Vec y) { return {vdivq_f32(x.a, y.a), vdivq_f32(x.b, y.b), vdivq_f32(x.c, y.c), vdivq_f32(x.d, y.d)}; }
inline Vec fma(Vec x, Vec y, Vec z) {
  return {vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b), vfmaq_f32(z.c, x.c, y.c), vfmaq_f32(z.d, x.d, y.d)};
}
inline Vec vmin(Vec x, Vec y) { return {lesser(x.a, y.a), lesser(x.b, y.b), lesser(x.c, y.c), lesser(x.d, y.d)}; }
inline Vec vmax(Vec x, Vec y) { return {greater(x.a, y.a), greater(x.b, y.b), greater(x.c, y.c), greater(x.d, y.d)}; }
inline Vec vround(Vec x) { return {vrndnq_f32(x.a), vrndnq_f32(x.b), vrndnq_f32(x.c), vrndnq_f32(x.d)}; }
inline Vec vscale2(Vec x, Vec n) { return {scale2(x.a, n.a), scale2(x.b, n.b), scale2(x.c, n.c), scale2(x.d, n.d)}; }
inline float vsum(Vec x) {
  const float32x4_t q = vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d));
  const float32x2_t h = vadd_f32(vget_low_f32(q), vget_high_f32(q));
  return vget_lane_f32(h, 0) + vget_lane_f32(h, 1);
}
// vsum of 16 Vecs that lie one after the other.
inline void vsum16(const float* vectors, float* sums) {
  for (int i = 0; i < 16; i++) sums[i] = vsum(Vec::load(vectors + 16 * i));
}
inline float vmaximum(Vec x) { return vmaxvq_f32(vmaxq_f32(vmaxq_f32(x.a, x.b), vmaxq_f32(x.c, x.d))); }

inline float f16_to_f32(uint16_t h) { return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(h))), 0); }
inline uint16_t f32_to_f16(float f) { return vget_lane_u16(vreinterpret_u16_f16(vcvt_f16_f32(vdupq_n_f32(f))), 0); }
inline float bf16_to_f32(uint16_t h) {
  const uint32_t bits = static_cast<uint32_t>(h) << 16;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

// 16 stored halves, any alignment.
struct Halves { uint16x8_t low, high; };
inline Halves load_halves(const void* p) {
  const uint8_t* q = static_cast<const uint8_t*>(p);
  return {vreinterpretq_u16_u8(vld1q_u8(q)), vreinterpretq_u16_u8(vld1q_u8(q + 16))};
}
inline float32x4_t widen_f16(uint16x4_t h) { return vcvt_f32_f16(vreinterpret_f16_u16(h)); }
inline float32x4_t widen_bf16(uint16x4_t h) { return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(h), 16)); }
inline uint16x4_t narrow_f16(float32x4_t x) { return vreinterpret_u16_f16(vcvt_f16_f32(x)); }
inline Vec load_f16(const void* p) {
  const Halves h = load_halves(p);
  return {widen_f16(vget_low_u16(h.low)), widen_f16(vget_high_u16(h.low)), widen_f16(vget_low_u16(h.high)), widen_f16(vget_high_u16(h.high))};
}
inline void store_f16(Vec x, void* p) {
  uint8_t* q = static_cast<uint8_t*>(p);
  vst1q_u8(q, vreinterpretq_u8_u16(vcombine_u16(narrow_f16(x.a), narrow_f16(x.b))));
  vst1q_u8(q + 16, vreinterpretq_u8_u16(vcombine_u16(narrow_f16(x.c), narrow_f16(x.d))));
}
inline Vec load_bf16(const void* p) {
  const Halves h = load_halves(p);
  return {widen_bf16(vget_low_u16(h.low)), widen_bf16(vget_high_u16(h.low)), widen_bf16(vget_low_u16(h.high)), widen_bf16(vget_high_u16(h.high))};
}

inline Vec widen_i8(int8x16_t v) {
  const int16x8_t low = vmovl_s8(vget_low_s8(v)), high = vmovl_s8(vget_high_s8(v));
  return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
          vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(high)))};
}
inline Vec load_i8(const void* p) { return widen_i8(vld1q_s8(static_cast<const int8_t*>(p))); }

inline int32_t store_i8(Vec x, int8_t* p) {
  const int32x4_t a = vcvtnq_s32_f32(x.a), b = vcvtnq_s32_f32(x.b), c = vcvtnq_s32_f32(x.c), d = vcvtnq_s32_f32(x.d);
  const int16x8_t low = vcombine_s16(vqmovn_s32(a), vqmovn_s32(b)), high = vcombine_s16(vqmovn_s32(c), vqmovn_s32(d));
  vst1q_s8(p, vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)));
  return vaddvq_s32(vaddq_s32(vaddq_s32(a, b), vaddq_s32(c, d)));
}

inline void prefetch(const void* p) {
#if defined(__GNUC__)
  __builtin_prefetch(p);
#else
  __prefetch(p);
#endif
}

struct VecPair { Vec lo, hi; };

inline VecPair load_fp4(const void* p) {
  static const int8_t kDoubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  const int8x16_t table = vld1q_s8(kDoubled);
  const uint8x16_t b = vld1q_u8(static_cast<const uint8_t*>(p));
  return {widen_i8(vqtbl1q_s8(table, vandq_u8(b, vdupq_n_u8(15)))), widen_i8(vqtbl1q_s8(table, vshrq_n_u8(b, 4)))};
}
inline VecPair vinterleave(VecPair x) {
  return {{vzip1q_f32(x.lo.a, x.hi.a), vzip2q_f32(x.lo.a, x.hi.a), vzip1q_f32(x.lo.b, x.hi.b), vzip2q_f32(x.lo.b, x.hi.b)},
          {vzip1q_f32(x.lo.c, x.hi.c), vzip2q_f32(x.lo.c, x.hi.c), vzip1q_f32(x.lo.d, x.hi.d), vzip2q_f32(x.lo.d, x.hi.d)}};
}

// Half a Vec, for attention over eight queries.
struct Vec8 {
  float32x4_t a, b;

  static inline Vec8 zero() { return set(0.0f); }
  static inline Vec8 set(float x) { return {vdupq_n_f32(x), vdupq_n_f32(x)}; }
  static inline Vec8 load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4)}; }
  inline void store(float* p) const {
    vst1q_f32(p, a);
    vst1q_f32(p + 4, b);
  }
};
inline Vec8 operator+(Vec8 x, Vec8 y) { return {vaddq_f32(x.a, y.a), vaddq_f32(x.b, y.b)}; }
inline Vec8 operator-(Vec8 x, Vec8 y) { return {vsubq_f32(x.a, y.a), vsubq_f32(x.b, y.b)}; }
inline Vec8 operator*(Vec8 x, Vec8 y) { return {vmulq_f32(x.a, y.a), vmulq_f32(x.b, y.b)}; }
inline Vec8 fma(Vec8 x, Vec8 y, Vec8 z) { return {vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b)}; }
inline Vec8 vmax(Vec8 x, Vec8 y) { return {greater(x.a, y.a), greater(x.b, y.b)}; }

}  // namespace
