// Weights to float32, exactly, for every type a checkpoint may hold. decode_span writes values [k0, k0 + n) of one row;
// k0 is a multiple of 256, n ends there or at the row's end. It reads no byte outside the row (the row may end the
// mapping). The hot types have their own code in the matmul kernels; this is the path that covers everything, and the
// whole of `exact`. Layouts: model-spec §2.3, §2.7 and ggml's types. Next: rowdot.inl.

inline const uint8_t* row_bytes(const Matrix& m, int32_t expert, int32_t row) {
  const uint8_t* const first = m.experts_at != nullptr ? m.experts_at[expert] : m.data + expert * m.expert_stride;
  return first + row * m.row_stride;
}
inline const uint8_t* row_scales(const Matrix& m, int32_t expert, int32_t row) {
  const uint8_t* const first = m.scales_at != nullptr ? m.scales_at[expert] : m.scales + expert * m.scale_expert_stride;
  return first + row * m.scale_row_stride;
}

inline float load_half(const uint8_t* p) {
  uint16_t h;
  std::memcpy(&h, p, 2);
  return f16_to_f32(h);
}

// 2^(e - 128): the scale of doubled FP4 values. Bytes 0 and 1 give subnormal floats.
inline float mxfp4_half_scale(uint8_t e) {
  const uint32_t bits = e < 2 ? 0x00200000u << e : static_cast<uint32_t>(e - 1) << 23;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

inline void mxfp4_group(const uint8_t* nibbles, uint8_t e, bool pairs, float* out) {
  VecPair v = load_fp4(nibbles);
  if (pairs) v = vinterleave(v);
  const Vec scale = Vec::set(mxfp4_half_scale(e));
  (v.lo * scale).store(out);
  (v.hi * scale).store(out + 16);
}

// Types of 32 values with a half-precision scale.
inline void q4_group(const uint8_t* p, float offset, float d, float m, float* out) {
  for (int j = 0; j < 16; j++) {
    out[j] = (static_cast<float>(p[j] & 15) - offset) * d + m;
    out[j + 16] = (static_cast<float>(p[j] >> 4) - offset) * d + m;
  }
}
inline void q5_group(const uint8_t* high, const uint8_t* p, float offset, float d, float m, float* out) {
  uint32_t h;
  std::memcpy(&h, high, 4);
  for (int j = 0; j < 16; j++) {
    out[j] = (static_cast<float>((p[j] & 15) | (((h >> j) & 1) << 4)) - offset) * d + m;
    out[j + 16] = (static_cast<float>((p[j] >> 4) | (((h >> (j + 16)) & 1) << 4)) - offset) * d + m;
  }
}
constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
inline void iq4_group(const uint8_t* p, float* out) {
  const float d = load_half(p);
  for (int j = 0; j < 16; j++) {
    out[j] = d * kIq4Values[p[2 + j] & 15];
    out[j + 16] = d * kIq4Values[p[2 + j] >> 4];
  }
}

// Types of 256 values with 6-bit or 4-bit sub-scales.
inline void q2_k_group(const uint8_t* p, float* out) {
  const float d = load_half(p + 80), dmin = load_half(p + 82);
  for (int i = 0; i < 16; i++) {  // 16 values each
    const float scale = d * (p[i] & 15), min = dmin * (p[i] >> 4);
    const uint8_t* q = p + 16 + (i / 8) * 32 + (i & 1) * 16;
    const int shift = ((i / 2) & 3) * 2;
    for (int l = 0; l < 16; l++) out[16 * i + l] = scale * ((q[l] >> shift) & 3) - min;
  }
}
inline void q3_k_group(const uint8_t* p, float* out) {
  const uint8_t *hmask = p, *qs = p + 32, *sc = p + 96;
  const float d = load_half(p + 108);
  for (int i = 0; i < 16; i++) {
    // 6-bit scales: low 4 bits in bytes 0-7 (two per byte), high 2 bits in bytes 8-11.
    const int low = i < 8 ? sc[i] & 15 : sc[i - 8] >> 4, high = (sc[8 + (i & 3)] >> (2 * (i / 4))) & 3;
    const float scale = d * ((low | (high << 4)) - 32);
    const uint8_t *q = qs + (i / 8) * 32 + (i & 1) * 16, *h = hmask + (i & 1) * 16;
    const int shift = ((i / 2) & 3) * 2, bit = i / 2;
    for (int l = 0; l < 16; l++) out[16 * i + l] = scale * (((q[l] >> shift) & 3) - ((h[l] >> bit) & 1 ? 0 : 4));
  }
}
// The eight 6-bit (scale, min) pairs of Q4_K and Q5_K in 12 bytes.
inline void k_scale_min(const uint8_t* s, int i, int* scale, int* min) {
  if (i < 4) {
    *scale = s[i] & 63;
    *min = s[i + 4] & 63;
  } else {
    *scale = (s[i + 4] & 15) | ((s[i - 4] >> 6) << 4);
    *min = (s[i + 4] >> 4) | ((s[i] >> 6) << 4);
  }
}
inline void q45_k_group(const uint8_t* p, bool five, float* out) {
  const float d = load_half(p), dmin = load_half(p + 2);
  const uint8_t *high = p + 16, *qs = p + (five ? 48 : 16);
  for (int i = 0; i < 8; i++) {  // 32 values each
    int scale, min;
    k_scale_min(p + 4, i, &scale, &min);
    const float a = d * scale, b = dmin * min;
    const uint8_t* q = qs + (i / 2) * 32;
    const int shift = (i & 1) * 4;
    for (int l = 0; l < 32; l++) {
      const int extra = five ? ((high[l] >> i) & 1) << 4 : 0;
      out[32 * i + l] = a * (((q[l] >> shift) & 15) | extra) - b;
    }
  }
}
inline void q6_k_group(const uint8_t* p, float* out) {
  const float d = load_half(p + 208);
  for (int i = 0; i < 16; i++) {
    int8_t sub;
    std::memcpy(&sub, p + 192 + i, 1);
    const float scale = d * sub;
    const int half = i / 8, quarter = (i / 2) & 3, first = (i & 1) * 16;
    const uint8_t *ql = p + half * 64 + (quarter & 1) * 32 + first, *qh = p + 128 + half * 32 + first;
    for (int l = 0; l < 16; l++) {
      const int low = quarter < 2 ? ql[l] & 15 : ql[l] >> 4;
      out[16 * i + l] = scale * ((low | (((qh[l] >> (2 * quarter)) & 3) << 4)) - 32);
    }
  }
}

// Bytes and values of one group of a type (1 value for plain floats).
struct GroupSize { int32_t bytes, values; };
inline GroupSize group_size(DType t) {
  switch (t) {
    case DType::F32: return {4, 1};
    case DType::F16: case DType::BF16: return {2, 1};
    case DType::Q8_0: return {34, 32};
    case DType::MXFP4: case DType::MXFP4_PAIRS: return {17, 32};
    case DType::MXFP4_SPLIT: return {16, 32};
    case DType::Q4_0: case DType::IQ4_NL: return {18, 32};
    case DType::Q4_1: return {20, 32};
    case DType::Q5_0: return {22, 32};
    case DType::Q5_1: return {24, 32};
    case DType::Q2_K: return {84, 256};
    case DType::Q3_K: return {110, 256};
    case DType::Q4_K: return {144, 256};
    case DType::Q5_K: return {176, 256};
    case DType::Q6_K: return {210, 256};
  }
  return {1, 1};
}

inline void decode_group(DType t, const uint8_t* p, float* out) {
  switch (t) {
    case DType::Q8_0: {
      const Vec d = Vec::set(load_half(p));
      (load_i8(p + 2) * d).store(out);
      (load_i8(p + 18) * d).store(out + 16);
      return;
    }
    case DType::MXFP4: return mxfp4_group(p + 1, p[0], false, out);
    case DType::MXFP4_PAIRS: return mxfp4_group(p + 1, p[0], true, out);
    case DType::Q4_0: return q4_group(p + 2, 8, load_half(p), 0, out);
    case DType::Q4_1: return q4_group(p + 4, 0, load_half(p), load_half(p + 2), out);
    case DType::Q5_0: return q5_group(p + 2, p + 6, 16, load_half(p), 0, out);
    case DType::Q5_1: return q5_group(p + 4, p + 8, 0, load_half(p), load_half(p + 2), out);
    case DType::IQ4_NL: return iq4_group(p, out);
    case DType::Q2_K: return q2_k_group(p, out);
    case DType::Q3_K: return q3_k_group(p, out);
    case DType::Q4_K: return q45_k_group(p, false, out);
    case DType::Q5_K: return q45_k_group(p, true, out);
    case DType::Q6_K: return q6_k_group(p, out);
    default: return;
  }
}

inline float load_scalar(DType t, const uint8_t* p) {
  if (t == DType::F32) {
    float f;
    std::memcpy(&f, p, 4);
    return f;
  }
  uint16_t h;
  std::memcpy(&h, p, 2);
  return t == DType::F16 ? f16_to_f32(h) : bf16_to_f32(h);
}

inline void decode_span(const Matrix& m, int32_t expert, int32_t row, int32_t k0, int32_t n, float* out) {
  const uint8_t* p = row_bytes(m, expert, row);
  if (m.col_stride) {
    p += k0 * m.col_stride;
    for (int32_t k = 0; k < n; k++) out[k] = load_scalar(m.dtype, p + k * m.col_stride);
    return;
  }
  const GroupSize g = group_size(m.dtype);
  p += static_cast<int64_t>(k0 / g.values) * g.bytes;
  if (g.values == 1) {
    int32_t k = 0;
    if (m.dtype == DType::F32) {
      std::memcpy(out, p, static_cast<size_t>(n) * 4);
      return;
    }
    if (m.dtype == DType::F16) {
      for (; k + 16 <= n; k += 16) load_f16(p + 2 * k).store(out + k);
    } else {
      for (; k + 16 <= n; k += 16) load_bf16(p + 2 * k).store(out + k);
    }
    for (; k < n; k++) out[k] = load_scalar(m.dtype, p + 2 * k);
    return;
  }
  if (m.dtype == DType::MXFP4_SPLIT) {
    const uint8_t* s = row_scales(m, expert, row) + k0 / 32;
    for (int32_t k = 0; k < n; k += 32) mxfp4_group(p + k / 2, s[k / 32], true, out + k);
    return;
  }
  for (int32_t k = 0; k < n; k += g.values, p += g.bytes) decode_group(m.dtype, p, out + k);
}

inline void decode_row(const Matrix& m, int32_t expert, int32_t row, float* out) {
  decode_span(m, expert, row, 0, m.cols, out);
}
