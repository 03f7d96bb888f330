// One group of 32 quantised values as two registers of signed bytes in the order of the row (pair types: evens, then
// odds), with scale and minimum: value = scale · w + min. What the integer kernels of ARM are fed with; the products there
// are signed by signed, so no offset is needed. Next: int8_neon.inl; unpack.inl is the same for x86.

struct Group { int8x16_t lo, hi; float scale, min; };

inline float exponent_scale(uint8_t e) {  // 2^(e - 127); the halving of doubled FP4 values is in the activations' scale
  const uint32_t bits = static_cast<uint32_t>(e) << 23;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
inline uint8x16_t low_nibbles(uint8x16_t b) { return vandq_u8(b, vdupq_n_u8(15)); }
inline uint8x16_t high_nibbles(uint8x16_t b) { return vshrq_n_u8(b, 4); }
// 16 bits to bytes of 0 or 16.
inline uint8x16_t bits_to_16(const uint8_t* p) {
  static const uint8_t kBits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t spread = vcombine_u8(vdup_n_u8(p[0]), vdup_n_u8(p[1]));
  return vandq_u8(vtstq_u8(spread, vld1q_u8(kBits)), vdupq_n_u8(16));
}
inline int8x16_t less(uint8x16_t v, int8_t offset) { return vsubq_s8(vreinterpretq_s8_u8(v), vdupq_n_s8(offset)); }

inline Group fp4_group(const uint8_t* nibbles, uint8_t e) {
  static const int8_t kDoubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  const int8x16_t table = vld1q_s8(kDoubled);
  const uint8x16_t b = vld1q_u8(nibbles);
  return {vqtbl1q_s8(table, low_nibbles(b)), vqtbl1q_s8(table, high_nibbles(b)), exponent_scale(e), 0};
}

// Group g of a row; `scales`: the row's scales where they lie apart.
template <DType Type>
inline Group load_group(const uint8_t* row, const uint8_t* scales, int32_t g) {
  if constexpr (Type == DType::MXFP4_SPLIT) {
    return fp4_group(row + static_cast<int64_t>(g) * 16, scales[g]);
  } else if constexpr (Type == DType::MXFP4) {
    const uint8_t* p = row + static_cast<int64_t>(g) * 17;
    return fp4_group(p + 1, p[0]);
  } else if constexpr (Type == DType::Q8_0) {
    const uint8_t* p = row + static_cast<int64_t>(g) * 34;
    return {vreinterpretq_s8_u8(vld1q_u8(p + 2)), vreinterpretq_s8_u8(vld1q_u8(p + 18)), load_half(p), 0};
  } else if constexpr (Type == DType::Q4_0) {
    const uint8_t* p = row + static_cast<int64_t>(g) * 18;
    const uint8x16_t b = vld1q_u8(p + 2);
    return {less(low_nibbles(b), 8), less(high_nibbles(b), 8), load_half(p), 0};
  } else if constexpr (Type == DType::Q4_1) {
    const uint8_t* p = row + static_cast<int64_t>(g) * 20;
    const uint8x16_t b = vld1q_u8(p + 4);
    return {less(low_nibbles(b), 0), less(high_nibbles(b), 0), load_half(p), load_half(p + 2)};
  } else if constexpr (Type == DType::Q5_0) {
    const uint8_t* p = row + static_cast<int64_t>(g) * 22;
    const uint8x16_t b = vld1q_u8(p + 6);
    return {less(vorrq_u8(low_nibbles(b), bits_to_16(p + 2)), 16), less(vorrq_u8(high_nibbles(b), bits_to_16(p + 4)), 16), load_half(p), 0};
  } else if constexpr (Type == DType::Q5_1) {
    const uint8_t* p = row + static_cast<int64_t>(g) * 24;
    const uint8x16_t b = vld1q_u8(p + 8);
    return {less(vorrq_u8(low_nibbles(b), bits_to_16(p + 4)), 0), less(vorrq_u8(high_nibbles(b), bits_to_16(p + 6)), 0), load_half(p), load_half(p + 2)};
  } else if constexpr (Type == DType::IQ4_NL) {
    const uint8_t* p = row + static_cast<int64_t>(g) * 18;
    const int8x16_t table = vld1q_s8(kIq4Values);
    const uint8x16_t b = vld1q_u8(p + 2);
    return {vqtbl1q_s8(table, low_nibbles(b)), vqtbl1q_s8(table, high_nibbles(b)), load_half(p), 0};
  } else {  // Q4_K, Q5_K
    constexpr bool five = Type == DType::Q5_K;
    const int32_t i = g & 7;
    const uint8_t *p = row + static_cast<int64_t>(g / 8) * (five ? 176 : 144), *q = p + (five ? 48 : 16) + (i / 2) * 32;
    uint8x16_t lo = vld1q_u8(q), hi = vld1q_u8(q + 16);
    lo = i & 1 ? high_nibbles(lo) : low_nibbles(lo);
    hi = i & 1 ? high_nibbles(hi) : low_nibbles(hi);
    if constexpr (five) {
      const uint8x16_t bit = vdupq_n_u8(static_cast<uint8_t>(1 << i)), sixteen = vdupq_n_u8(16);
      lo = vorrq_u8(lo, vandq_u8(vtstq_u8(vld1q_u8(p + 16), bit), sixteen));
      hi = vorrq_u8(hi, vandq_u8(vtstq_u8(vld1q_u8(p + 32), bit), sixteen));
    }
    int scale, min;
    k_scale_min(p + 4, i, &scale, &min);
    return {less(lo, 0), less(hi, 0), load_half(p) * static_cast<float>(scale), -load_half(p + 2) * static_cast<float>(min)};
  }
}
