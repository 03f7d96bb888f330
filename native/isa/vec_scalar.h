// Vec for machines without a vector unit we know: 16 float32 lanes as a plain array, loops the compiler may vectorise.
// Every vec_<isa>.h offers exactly these names; kernels/*.inl are written over them. 16 logical lanes everywhere
// (avx2 holds two registers, neon four), so that the exact path has one summation order on all of them.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

struct Vec {
  float lane[16];

  static inline Vec zero() { return set(0.0f); }
  static inline Vec set(float x) {
    Vec r;
    for (int i = 0; i < 16; i++) r.lane[i] = x;
    return r;
  }
  static inline Vec load(const float* p) {
    Vec r;
    std::memcpy(r.lane, p, 64);
    return r;
  }
  inline void store(float* p) const { std::memcpy(p, lane, 64); }
};

// Vectors of 16 floats each: how many accumulators a register-tiled loop may keep (registers / registers per Vec, minus
// room for operands).
constexpr int kVecAccumulators = 2;

inline Vec operator+(Vec a, Vec b) { for (int i = 0; i < 16; i++) a.lane[i] += b.lane[i]; return a; }
inline Vec operator-(Vec a, Vec b) { for (int i = 0; i < 16; i++) a.lane[i] -= b.lane[i]; return a; }
inline Vec operator*(Vec a, Vec b) { for (int i = 0; i < 16; i++) a.lane[i] *= b.lane[i]; return a; }
inline Vec vdivide(Vec a, Vec b) { for (int i = 0; i < 16; i++) a.lane[i] /= b.lane[i]; return a; }
inline Vec fma(Vec a, Vec b, Vec c) { for (int i = 0; i < 16; i++) c.lane[i] += a.lane[i] * b.lane[i]; return c; }
inline Vec vmin(Vec a, Vec b) { for (int i = 0; i < 16; i++) a.lane[i] = b.lane[i] < a.lane[i] ? b.lane[i] : a.lane[i]; return a; }
inline Vec vmax(Vec a, Vec b) { for (int i = 0; i < 16; i++) a.lane[i] = b.lane[i] > a.lane[i] ? b.lane[i] : a.lane[i]; return a; }
// Nearest integer, ties to even.
inline Vec vround(Vec a) { for (int i = 0; i < 16; i++) a.lane[i] = std::nearbyintf(a.lane[i]); return a; }
// a · 2^n, n integral in [-126, 127].
inline Vec vscale2(Vec a, Vec n) {
  for (int i = 0; i < 16; i++) {
    int32_t bits = (static_cast<int32_t>(n.lane[i]) + 127) << 23;
    float f;
    std::memcpy(&f, &bits, 4);
    a.lane[i] *= f;
  }
  return a;
}
// The one fixed tree: lanes i and i+8, then i+4, i+2, i+1.
inline float vsum(Vec a) {
  for (int w = 8; w > 0; w >>= 1)
    for (int i = 0; i < w; i++) a.lane[i] += a.lane[i + w];
  return a.lane[0];
}
// vsum of 16 Vecs that lie one after the other.
inline void vsum16(const float* vectors, float* sums) {
  for (int i = 0; i < 16; i++) sums[i] = vsum(Vec::load(vectors + 16 * i));
}
inline float vmaximum(Vec a) {
  float m = a.lane[0];
  for (int i = 1; i < 16; i++) m = a.lane[i] > m ? a.lane[i] : m;
  return m;
}

inline float f16_to_f32(uint16_t h) {
  uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16, exponent = (h >> 10) & 31, mantissa = h & 1023, bits;
  if (exponent == 31) {
    bits = sign | 0x7f800000 | (mantissa << 13);
  } else if (exponent == 0) {
    float f = static_cast<float>(mantissa) * 5.9604644775390625e-8f;  // 2^-24
    std::memcpy(&bits, &f, 4);
    bits |= sign;
  } else {
    bits = sign | ((exponent + 112) << 23) | (mantissa << 13);
  }
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
inline uint16_t f32_to_f16(float f) {  // nearest even; overflow to infinity
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  uint32_t sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return static_cast<uint16_t>(sign | 0x7e00);
  if (magnitude >= 0x47800000) return static_cast<uint16_t>(sign | 0x7c00);
  if (magnitude < 0x38800000) {  // subnormal or zero: let float addition round
    float a, magic = 0.5f;
    std::memcpy(&a, &magnitude, 4);
    a += magic;
    uint32_t r, m;
    std::memcpy(&r, &a, 4);
    std::memcpy(&m, &magic, 4);
    return static_cast<uint16_t>(sign | (r - m));
  }
  uint32_t odd = (magnitude >> 13) & 1;
  return static_cast<uint16_t>(sign | ((magnitude - 0x38000000 + 0xfff + odd) >> 13));
}
inline float bf16_to_f32(uint16_t h) {
  uint32_t bits = static_cast<uint32_t>(h) << 16;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

inline Vec load_f16(const void* p) {  // 16 values, any alignment; likewise below
  uint16_t h[16];
  std::memcpy(h, p, 32);
  Vec r;
  for (int i = 0; i < 16; i++) r.lane[i] = f16_to_f32(h[i]);
  return r;
}
inline void store_f16(Vec a, void* p) {
  uint16_t h[16];
  for (int i = 0; i < 16; i++) h[i] = f32_to_f16(a.lane[i]);
  std::memcpy(p, h, 32);
}
inline Vec load_bf16(const void* p) {
  uint16_t h[16];
  std::memcpy(h, p, 32);
  Vec r;
  for (int i = 0; i < 16; i++) r.lane[i] = bf16_to_f32(h[i]);
  return r;
}
inline Vec load_i8(const void* p) {
  int8_t b[16];
  std::memcpy(b, p, 16);
  Vec r;
  for (int i = 0; i < 16; i++) r.lane[i] = static_cast<float>(b[i]);
  return r;
}

// Nearest integers (in [-127, 127]) as int8; returns their sum.
inline int32_t store_i8(Vec a, int8_t* p) {
  int32_t sum = 0;
  for (int i = 0; i < 16; i++) {
    p[i] = a.lane[i] == a.lane[i] ? static_cast<int8_t>(std::nearbyintf(a.lane[i])) : 0;  // NaN has no integer
    sum += p[i];
  }
  return sum;
}

inline void prefetch(const void* p) {
#if defined(__GNUC__)
  __builtin_prefetch(p);
#else
  (void)p;
#endif
}

struct VecPair { Vec lo, hi; };

// The low and the high nibbles of 16 bytes as FP4 (E2M1) values, doubled (so integral): lo[j] from byte j's low nibble.
inline VecPair load_fp4(const void* p) {
  constexpr float kDoubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, -0.0f, -1, -2, -3, -4, -6, -8, -12};
  uint8_t b[16];
  std::memcpy(b, p, 16);
  VecPair r;
  for (int i = 0; i < 16; i++) {
    r.lo.lane[i] = kDoubled[b[i] & 15];
    r.hi.lane[i] = kDoubled[b[i] >> 4];
  }
  return r;
}
// lo[0] hi[0] lo[1] hi[1] …
inline VecPair vinterleave(VecPair a) {
  VecPair r;
  for (int i = 0; i < 8; i++) {
    r.lo.lane[2 * i] = a.lo.lane[i];
    r.lo.lane[2 * i + 1] = a.hi.lane[i];
    r.hi.lane[2 * i] = a.lo.lane[i + 8];
    r.hi.lane[2 * i + 1] = a.hi.lane[i + 8];
  }
  return r;
}

// Half a Vec, for attention over eight queries.
struct Vec8 {
  float lane[8];

  static inline Vec8 zero() { return set(0.0f); }
  static inline Vec8 set(float x) {
    Vec8 r;
    for (int i = 0; i < 8; i++) r.lane[i] = x;
    return r;
  }
  static inline Vec8 load(const float* p) {
    Vec8 r;
    std::memcpy(r.lane, p, 32);
    return r;
  }
  inline void store(float* p) const { std::memcpy(p, lane, 32); }
};
inline Vec8 operator+(Vec8 a, Vec8 b) { for (int i = 0; i < 8; i++) a.lane[i] += b.lane[i]; return a; }
inline Vec8 operator-(Vec8 a, Vec8 b) { for (int i = 0; i < 8; i++) a.lane[i] -= b.lane[i]; return a; }
inline Vec8 operator*(Vec8 a, Vec8 b) { for (int i = 0; i < 8; i++) a.lane[i] *= b.lane[i]; return a; }
inline Vec8 fma(Vec8 a, Vec8 b, Vec8 c) { for (int i = 0; i < 8; i++) c.lane[i] += a.lane[i] * b.lane[i]; return c; }
inline Vec8 vmax(Vec8 a, Vec8 b) { for (int i = 0; i < 8; i++) a.lane[i] = b.lane[i] > a.lane[i] ? b.lane[i] : a.lane[i]; return a; }

}  // namespace
