// The quantised types that have no kernel of their own, as whole bytes: group g of a row becomes 32 unsigned bytes in
// order (value / scale + offset, see Int8Form), a scale and a minimum. Costs a few instructions per group; the rest is the
// kernels for whole bytes. Next: int8_vnni.inl, int8_avx2.inl.

struct UnpackedScale { float scale, min; };

inline __m256i nibbles_in_order(const uint8_t* p) {  // low nibbles of 16 bytes, then their high nibbles
  const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(b), _mm_srli_epi16(b, 4), 1);
  return _mm256_and_si256(both, _mm256_set1_epi8(15));
}
inline __m256i bits_to_16(const uint8_t* p) {  // 32 bits to bytes of 0 or 16
  int32_t h;
  std::memcpy(&h, p, 4);
  const __m256i byte = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201ull));
  const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(h), byte);
  return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit), _mm256_set1_epi8(16));
}

inline UnpackedScale unpack_group(const Matrix& m, const uint8_t* row, int32_t g, uint8_t* u) {
  auto store = [&](__m256i bytes) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(u), bytes); };
  switch (m.dtype) {
    case DType::Q4_0: {
      const uint8_t* p = row + g * 18;
      store(nibbles_in_order(p + 2));
      return {load_half(p), 0};
    }
    case DType::Q4_1: {
      const uint8_t* p = row + g * 20;
      store(nibbles_in_order(p + 4));
      return {load_half(p), load_half(p + 2)};
    }
    case DType::Q5_0: {
      const uint8_t* p = row + g * 22;
      store(_mm256_or_si256(nibbles_in_order(p + 6), bits_to_16(p + 2)));
      return {load_half(p), 0};
    }
    case DType::Q5_1: {
      const uint8_t* p = row + g * 24;
      store(_mm256_or_si256(nibbles_in_order(p + 8), bits_to_16(p + 4)));
      return {load_half(p), load_half(p + 2)};
    }
    case DType::IQ4_NL: {  // the 16 values of kIq4Values, plus 128
      const uint8_t* p = row + g * 18;
      const __m128i table = _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Values)), _mm_set1_epi8(-128));
      store(_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), nibbles_in_order(p + 2)));
      return {load_half(p), 0};
    }
    case DType::Q8_0: {
      const uint8_t* p = row + static_cast<int64_t>(g) * 34;
      store(_mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 2)), _mm256_set1_epi8(-128)));
      return {load_half(p), 0};
    }
    case DType::Q4_K: case DType::Q5_K: {
      const bool five = m.dtype == DType::Q5_K;
      const int32_t i = g & 7;
      const uint8_t *p = row + static_cast<int64_t>(g / 8) * (five ? 176 : 144), *q = p + (five ? 48 : 16) + (i / 2) * 32;
      const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(q));
      __m256i v = _mm256_and_si256(i & 1 ? _mm256_srli_epi16(b, 4) : b, _mm256_set1_epi8(15));
      if (five) {
        const __m256i bit = _mm256_set1_epi8(static_cast<char>(1 << i)), high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 16));
        v = _mm256_or_si256(v, _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(high, bit), bit), _mm256_set1_epi8(16)));
      }
      store(v);
      int scale, min;
      k_scale_min(p + 4, i, &scale, &min);
      return {load_half(p) * static_cast<float>(scale), -load_half(p + 2) * static_cast<float>(min)};
    }
    default: return {0, 0};
  }
}
