// Many tokens with AVX2: weights of 16 rows are decoded to bytes or words once and multiplied with panels of 3 tokens.
// Part of int8_avx2.inl, whose types and tables it uses. Next: int8.inl.

// A decoded chunk of weights. bytes: [group][8 dwords][16 rows][4]; words: [group][16 dwords][16 rows][2].
struct WeightPanel {
  union {
    uint8_t bytes[kPanelGroups][8][kPanelRows][4];
    int16_t words[kPanelGroups][16][kPanelRows][2];
  };
  float scale[kPanelGroups][kPanelRows];
  float min[kPanelGroups][kPanelRows];
};

// 8 rows of 16 bytes, register j holding dword j of them all: two rows to a register (rows i, i+4), then a 4×4 transpose
// of dwords within 128-bit lanes.
struct Dwords8 { __m256i d[4]; };
inline Dwords8 transpose8(const uint8_t* p, int64_t stride) {
  const uint8_t* q = p + 4 * stride;
  const __m256i r0 = join(p, q), r1 = join(p + stride, q + stride), r2 = join(p + 2 * stride, q + 2 * stride), r3 = join(p + 3 * stride, q + 3 * stride);
  const __m256i a = _mm256_unpacklo_epi32(r0, r1), b = _mm256_unpackhi_epi32(r0, r1);
  const __m256i c = _mm256_unpacklo_epi32(r2, r3), d = _mm256_unpackhi_epi32(r2, r3);
  return {{_mm256_unpacklo_epi64(a, c), _mm256_unpackhi_epi64(a, c), _mm256_unpacklo_epi64(b, d), _mm256_unpackhi_epi64(b, d)}};
}

struct TileRows {
  const uint8_t *base, *scales;
  int64_t stride, scale_stride;
  int32_t rows;
};

inline void pack_mxfp4(bool split, const TileRows& t, int32_t g0, int32_t n, PacedLines& ahead, WeightPanel& w) {
  const __m256i mask = _mm256_set1_epi8(15), table = fp4_table();
  for (int32_t g = 0; g < n; g++) {
    ahead.step();
    const uint8_t* p = t.base + static_cast<int64_t>(g0 + g) * (split ? 16 : 17) + (split ? 0 : 1);
    const uint8_t* s = split ? t.scales + g0 + g : p - 1;
    const int64_t scale_stride = split ? t.scale_stride : t.stride;
    alignas(16) uint8_t exponent[kPanelRows];
    for (int32_t r = 0; r < kPanelRows; r++) exponent[r] = s[r * scale_stride];
    for (int32_t h = 0; h < 2; h++) {
      const Dwords8 d = transpose8(p + 8 * h * t.stride, t.stride);
      for (int j = 0; j < 4; j++) {
        _mm256_store_si256(reinterpret_cast<__m256i*>(w.bytes[g][j][8 * h]), _mm256_shuffle_epi8(table, _mm256_and_si256(d.d[j], mask)));
        _mm256_store_si256(reinterpret_cast<__m256i*>(w.bytes[g][4 + j][8 * h]),
                           _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(d.d[j], 4), mask)));
      }
    }
    for (int32_t h = 0; h < 2; h++) {
      const __m256i e = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(exponent + 8 * h)));
      _mm256_store_ps(w.scale[g] + 8 * h, _mm256_castsi256_ps(_mm256_slli_epi32(e, 23)));
    }
  }
}

inline void pack_q8(const TileRows& t, int32_t g0, int32_t n, PacedLines& ahead, WeightPanel& w) {
  for (int32_t g = 0; g < n; g++) {
    const uint8_t* p = t.base + static_cast<int64_t>(g0 + g) * 34;
    ahead.step();
    alignas(32) uint16_t halves[kPanelRows];
    for (int32_t r = 0; r < kPanelRows; r++) std::memcpy(halves + r, p + r * t.stride, 2);
    for (int32_t h = 0; h < 2; h++) {
      for (int32_t half = 0; half < 2; half++) {
        const Dwords8 d = transpose8(p + 2 + 16 * half + 8 * h * t.stride, t.stride);
        for (int j = 0; j < 4; j++) {
#ifdef GPTOSS_AVX_VNNI
          _mm256_store_si256(reinterpret_cast<__m256i*>(w.bytes[g][4 * half + j][8 * h]), _mm256_xor_si256(d.d[j], _mm256_set1_epi8(-128)));
#else
          // Bytes 0 1 2 3 of each dword to words 0 1 and 2 3.
          const __m256i low = _mm256_srai_epi16(_mm256_unpacklo_epi8(d.d[j], d.d[j]), 8), high = _mm256_srai_epi16(_mm256_unpackhi_epi8(d.d[j], d.d[j]), 8);
          // low: rows 0 1 (4 5) as quadwords, high: rows 2 3 (6 7): gather the first and second dwords of each row.
          const __m256i first = _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high), 0x88));
          const __m256i second = _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high), 0xdd));
          _mm256_store_si256(reinterpret_cast<__m256i*>(w.words[g][2 * (4 * half + j)][8 * h]), first);
          _mm256_store_si256(reinterpret_cast<__m256i*>(w.words[g][2 * (4 * half + j) + 1][8 * h]), second);
#endif
        }
      }
    }
    load_f16(halves).store(w.scale[g]);
  }
}

// Row by row: types without a packer of their own, and tiles of fewer rows (the rest is zero).
inline void pack_unpacked(const Matrix& m, const Int8Form& form, const TileRows& t, int32_t g0, int32_t n, WeightPanel& w) {
  if (t.rows < kPanelRows) std::memset(static_cast<void*>(&w), 0, sizeof(w));
  for (int32_t g = 0; g < n; g++) {
    for (int32_t r = 0; r < t.rows; r++) {
      const uint8_t* row = t.base + r * t.stride;
      alignas(32) uint8_t u[32];
      UnpackedScale s{0, 0};
      if (nibble_type(m.dtype)) {
        const bool split = m.dtype == DType::MXFP4_SPLIT;
        const uint8_t* p = split ? row + 16 * (g0 + g) : row + 17 * (g0 + g) + 1;
        const int32_t bits = (split ? (t.scales + r * t.scale_stride)[g0 + g] : p[-1]) << 23;
        std::memcpy(&s.scale, &bits, 4);
        const __m128i n16 = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), table = _mm256_castsi256_si128(fp4_table()), mask = _mm_set1_epi8(15);
        _mm_store_si128(reinterpret_cast<__m128i*>(u), _mm_shuffle_epi8(table, _mm_and_si128(n16, mask)));
        _mm_store_si128(reinterpret_cast<__m128i*>(u + 16), _mm_shuffle_epi8(table, _mm_and_si128(_mm_srli_epi16(n16, 4), mask)));
      } else {
        s = unpack_group(m, row, g0 + g, u);
      }
      if (words_type(form)) {
        for (int32_t i = 0; i < 32; i++) w.words[g][i / 2][r][i & 1] = static_cast<int16_t>(u[i] - 128);
      } else {
        for (int32_t j = 0; j < 8; j++) std::memcpy(w.bytes[g][j][r], u + 4 * j, 4);
      }
      w.scale[g][r] = s.scale;
      w.min[g][r] = form.min ? s.min : 0;
    }
  }
}

enum class GemmKind { Bytes, Min, Words };

// Keeps a running sum in its register: g++ reorders integer additions and then runs out of registers.
inline void pin(__m256i& sum) {
#if defined(__GNUC__)
  __asm__("" : "+x"(sum));
#else
  (void)sum;
#endif
}

inline __m256i broadcast32(const void* p) {
  int32_t v;
  std::memcpy(&v, p, 4);
  return _mm256_set1_epi32(v);
}

// Integer sums of one group: 2 registers of 8 rows for each token.
template <int T, GemmKind Kind>
inline void group_sums(const WeightPanel& w, int32_t g, const void* group, __m256i (&s)[2][T]) {
  if constexpr (Kind == GemmKind::Words) {
    const WordGroup& a = *static_cast<const WordGroup*>(group);
    for (int j = 0; j < 16; j++) {
      const __m256i w0 = _mm256_load_si256(reinterpret_cast<const __m256i*>(w.words[g][j][0]));
      const __m256i w1 = _mm256_load_si256(reinterpret_cast<const __m256i*>(w.words[g][j][8]));
      for (int t = 0; t < T; t++) {
        const __m256i q = broadcast32(a.q[t] + 2 * j), d0 = _mm256_madd_epi16(w0, q), d1 = _mm256_madd_epi16(w1, q);
        s[0][t] = j == 0 ? d0 : _mm256_add_epi32(s[0][t], d0);
        s[1][t] = j == 0 ? d1 : _mm256_add_epi32(s[1][t], d1);
        pin(s[0][t]);
        pin(s[1][t]);
      }
    }
    return;
  }
  const PanelGroup& a = *static_cast<const PanelGroup*>(group);
  for (int t = 0; t < T; t++) s[0][t] = s[1][t] = Kind == GemmKind::Min ? _mm256_setzero_si256() : broadcast32(&a.correction[t]);
#ifdef GPTOSS_AVX_VNNI
  for (int j = 0; j < 8; j++) {
    const __m256i w0 = _mm256_load_si256(reinterpret_cast<const __m256i*>(w.bytes[g][j][0]));
    const __m256i w1 = _mm256_load_si256(reinterpret_cast<const __m256i*>(w.bytes[g][j][8]));
    for (int t = 0; t < T; t++) {
      const __m256i q = broadcast32(a.q[t] + 4 * j);
      s[0][t] = dot_bytes(s[0][t], w0, q);
      s[1][t] = dot_bytes(s[1][t], w1, q);
    }
  }
#else
  const __m256i ones = _mm256_set1_epi16(1);
  for (int half = 0; half < 8; half += 4) {
    __m256i h[2][T];
    for (int j = half; j < half + 4; j++) {
      const __m256i w0 = _mm256_load_si256(reinterpret_cast<const __m256i*>(w.bytes[g][j][0]));
      const __m256i w1 = _mm256_load_si256(reinterpret_cast<const __m256i*>(w.bytes[g][j][8]));
      for (int t = 0; t < T; t++) {
        const __m256i q = broadcast32(a.q[t] + 4 * j), d0 = _mm256_maddubs_epi16(w0, q), d1 = _mm256_maddubs_epi16(w1, q);
        h[0][t] = j == half ? d0 : _mm256_add_epi16(h[0][t], d0);
        h[1][t] = j == half ? d1 : _mm256_add_epi16(h[1][t], d1);
        pin(h[0][t]);
        pin(h[1][t]);
      }
    }
    for (int t = 0; t < T; t++)
      for (int i = 0; i < 2; i++) {
        s[i][t] = _mm256_add_epi32(s[i][t], _mm256_madd_epi16(h[i][t], ones));
        pin(s[i][t]);
      }
  }
#endif
}

// acc[token][16 rows] += panel · tokens. Float sums go through memory: 16 registers are too few for them as well.
template <int T, GemmKind Kind>
inline void gemm_tile(const WeightPanel& w, const uint8_t* panel, int32_t groups, PacedLines& ahead, float* acc) {
  constexpr size_t step = Kind == GemmKind::Words ? sizeof(WordGroup) : sizeof(PanelGroup);
  for (int32_t g = 0; g < groups; g++, panel += step) {
    ahead.step();
    __m256i s[2][T];
    group_sums<T, Kind>(w, g, panel, s);
    const float* scales = Kind == GemmKind::Words ? reinterpret_cast<const WordGroup*>(panel)->scale : reinterpret_cast<const PanelGroup*>(panel)->scale;
    for (int i = 0; i < 2; i++) {
      const __m256 scale = _mm256_load_ps(w.scale[g] + 8 * i);
      for (int t = 0; t < T; t++) {
        float* out = acc + t * kPanelRows + 8 * i;
        __m256 f = _mm256_fmadd_ps(_mm256_cvtepi32_ps(s[i][t]), _mm256_mul_ps(scale, _mm256_broadcast_ss(scales + t)), _mm256_load_ps(out));
        if constexpr (Kind == GemmKind::Min) {
          float sum;
          std::memcpy(&sum, &reinterpret_cast<const PanelGroup*>(panel)->correction[t], 4);
          f = _mm256_fmadd_ps(_mm256_load_ps(w.min[g] + 8 * i), _mm256_set1_ps(sum), f);
        }
        _mm256_store_ps(out, f);
      }
    }
  }
}

template <GemmKind Kind>
inline void gemm_chunk(const WeightPanel& w, const uint8_t* panel, size_t panel_stride, int32_t groups, int32_t tokens, PacedLines& ahead, float* acc) {
  int32_t t = 0;
  for (; t + 3 <= tokens; t += 3, panel += panel_stride) gemm_tile<3, Kind>(w, panel, groups, ahead, acc + t * kPanelRows);
  if (tokens - t == 2) gemm_tile<2, Kind>(w, panel, groups, ahead, acc + t * kPanelRows);
  if (tokens - t == 1) gemm_tile<1, Kind>(w, panel, groups, ahead, acc + t * kPanelRows);
}

// `panels`: the tokens' panels, 3 to each, panel_bytes apart. `next`: first row of this worker's next tile.
inline void gemm_int8(WeightPanel& w, const Matrix& m, const Int8Form& form, int32_t expert, int32_t row0, int32_t rows, int32_t tokens,
                      const uint8_t* panels, const uint8_t* next, float* acc) {
  const TileRows tile{row_bytes(m, expert, row0), m.dtype == DType::MXFP4_SPLIT ? row_scales(m, expert, row0) : nullptr, m.row_stride,
                      m.scale_row_stride, rows};
  std::memset(acc, 0, static_cast<size_t>(tokens) * kPanelRows * sizeof(float));
  const bool words = words_type(form);
  const int32_t groups = m.cols / 32, steps = groups * (1 + tiles_of(tokens, kPanelTokens));
  PacedLines ahead{Lines(next, row_length(m), m.row_stride, kPanelRows), 0};
  ahead.per_step = (ahead.lines.left + steps - 1) / steps;
  for (int32_t g0 = 0; g0 < groups; g0 += kPanelGroups) {
    const int32_t n = groups - g0 < kPanelGroups ? groups - g0 : kPanelGroups;
    if (rows < kPanelRows) pack_unpacked(m, form, tile, g0, n, w);
    else if (nibble_type(m.dtype)) pack_mxfp4(m.dtype == DType::MXFP4_SPLIT, tile, g0, n, ahead, w);
    else if (m.dtype == DType::Q8_0) pack_q8(tile, g0, n, ahead, w);
    else pack_unpacked(m, form, tile, g0, n, w);
    const uint8_t* panel = panels + static_cast<size_t>(g0) * (words ? sizeof(WordGroup) : sizeof(PanelGroup));
    if (words) gemm_chunk<GemmKind::Words>(w, panel, panel_bytes(m), n, tokens, ahead, acc);
    else if (form.min) gemm_chunk<GemmKind::Min>(w, panel, panel_bytes(m), n, tokens, ahead, acc);
    else gemm_chunk<GemmKind::Bytes>(w, panel, panel_bytes(m), n, tokens, ahead, acc);
  }
}
