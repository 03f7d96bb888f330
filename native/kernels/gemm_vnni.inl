// Matrix products by vpdpbusd: rows are decoded into a panel in this worker's scratch (lane = row, four consecutive k in
// each lane, the layout vpdpbusd wants) and multiplied with tiles of 6 tokens whose bytes are broadcast.
// Next: int8.inl.

constexpr int32_t kPanelRows = 32, kPanelTokens = 6, kInt8ItemTokens = 64 * kPanelTokens;
constexpr int32_t kPanelGroups = 16;  // groups decoded at a time: 32 rows · 16 groups · 36 bytes = 18 KB, in L1

// GEMM: one group of a tile of 6 tokens.
struct PanelGroup {
  int8_t q[kPanelTokens][32];
  float scale[kPanelTokens];         // for MXFP4 its bits, ready to have the weights' exponent added (exponent_scale)
  int32_t correction[kPanelTokens];  // −offset · Σ q; for types with a minimum the float scale · Σ q
  int32_t unused[4];
};
static_assert(sizeof(PanelGroup) == 256, "");

inline bool gemm_serves(const Matrix&, const Int8Form& form) { return form.served; }
inline size_t panel_bytes(const Matrix& m) { return static_cast<size_t>(m.cols / 32) * sizeof(PanelGroup); }

// MXFP4 scales are powers of two: in the GEMM the product of both scales is an integer addition to the bits of the
// activations' scale, which takes work off the two multiply pipes. For that the exponents are kept in a range where no
// sum leaves the normal floats: weights' scales 2^-63 … 2^63, activations' 2^-62 … 2^62; what lies below is zero.
constexpr int32_t kLeastExponent = 64, kMostExponent = 190;
inline float exponent_scale(float scale) {
  if (!(scale >= 2.2e-19f)) scale = 1;  // q is 0 as well, see make_panel
  if (scale > 4.6e18f) scale = 4.6e18f;
  int32_t bits;
  std::memcpy(&bits, &scale, 4);
  bits -= 127 << 23;
  std::memcpy(&scale, &bits, 4);
  return scale;
}

inline void make_panel(const Matrix& m, const Int8Form& form, const float* const* x, int32_t tokens, uint8_t* out) {
  PanelGroup* p = reinterpret_cast<PanelGroup*>(out);
  const int32_t groups = m.cols / 32;
  const bool exponents = nibble_type(m.dtype);
  for (int32_t t = 0; t < tokens; t++) {
    for (int32_t g = 0; g < groups; g++) {
      Quantised q = quantise_group(x[t] + 32 * g, p[g].q[t]);
      const float scale = q.scale * form.factor;
      if (form.pairs) evens_then_odds(p[g].q[t]);
      if (exponents && !(scale >= 2.2e-19f)) {
        std::memset(p[g].q[t], 0, 32);
        q.sum = 0;
      }
      p[g].scale[t] = exponents ? exponent_scale(scale) : scale;
      if (form.min) {
        const float sum = q.scale * static_cast<float>(q.sum);
        std::memcpy(&p[g].correction[t], &sum, 4);
      } else {
        p[g].correction[t] = -form.offset * q.sum;
      }
    }
  }
}

// A decoded chunk of weights. bytes: [group][8 dwords][32 rows][4]; scales and mins: [group][32 rows].
struct WeightPanel {
  uint8_t bytes[kPanelGroups][8][kPanelRows][4];
  float scale[kPanelGroups][kPanelRows];  // MXFP4: the scale byte in the exponent's place, nothing else
  float min[kPanelGroups][kPanelRows];
};

inline void pack_nibbles16(const uint8_t* p, int64_t stride, __m512i table, uint8_t* low, uint8_t* high) {
  const Dwords16 t = transpose16(p, stride);
  for (int j = 0; j < 4; j++) {
    _mm512_store_si512(low + j * 4 * kPanelRows, _mm512_permutexvar_epi8(t.d[j], table));
    _mm512_store_si512(high + j * 4 * kPanelRows, _mm512_permutexvar_epi8(_mm512_srli_epi16(t.d[j], 4), table));
  }
}

// Scale bytes of four groups, one dword per row, to four rows of float exponents.
inline void spread_exponents(const uint32_t* four, int32_t n, float (*scale)[kPanelRows]) {
  const __m512i mask = _mm512_set1_epi32(0x7f800000);
  for (int32_t h = 0; h < kPanelRows; h += 16) {
    __m512i e = _mm512_loadu_si512(four + h);
    e = _mm512_min_epu8(_mm512_max_epu8(e, _mm512_set1_epi8(kLeastExponent)), _mm512_set1_epi8(static_cast<char>(kMostExponent)));
    _mm512_store_ps(scale[0] + h, _mm512_castsi512_ps(_mm512_and_si512(_mm512_slli_epi32(e, 23), mask)));
    if (n > 1) _mm512_store_ps(scale[1] + h, _mm512_castsi512_ps(_mm512_and_si512(_mm512_slli_epi32(e, 15), mask)));
    if (n > 2) _mm512_store_ps(scale[2] + h, _mm512_castsi512_ps(_mm512_and_si512(_mm512_slli_epi32(e, 7), mask)));
    if (n > 3) _mm512_store_ps(scale[3] + h, _mm512_castsi512_ps(_mm512_and_si512(_mm512_srli_epi32(e, 1), mask)));
  }
}

// MXFP4: n groups from g0 of 32 rows.
inline void pack_mxfp4(bool split, const TileRows& t, int32_t g0, int32_t n, PacedLines& ahead, WeightPanel& w) {
  const __m512i table = fp4_table();
  alignas(64) uint32_t four[kPanelRows];
  const int64_t size = split ? 16 : 17;
  for (int32_t g = 0; g < n; g++) {
    const uint8_t* p = t.base + (g0 + g) * size + (split ? 0 : 1);
    uint8_t* bytes = &w.bytes[g][0][0][0];
    ahead.step();
    pack_nibbles16(p, t.stride, table, bytes, bytes + 16 * kPanelRows);
    pack_nibbles16(p + 16 * t.stride, t.stride, table, bytes + 64, bytes + 16 * kPanelRows + 64);
    if ((g & 3) == 0) {
      const int32_t count = n - g < 4 ? n - g : 4;
      if (split) {
        for (int32_t r = 0; r < kPanelRows; r++) {
          const uint8_t* s = t.scales + r * t.scale_stride + g0 + g;
          if (count == 4) std::memcpy(four + r, s, 4);
          else for (int32_t i = 0; i < count; i++) reinterpret_cast<uint8_t*>(four + r)[i] = s[i];
        }
      } else if (count == 4) {
        const __m512i index = _mm512_castsi128_si512(_mm_setr_epi8(0, 17, 34, 51, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
        for (int32_t r = 0; r < kPanelRows; r++) {
          const __m512i e = _mm512_permutexvar_epi8(index, _mm512_loadu_si512(p - 1 + r * t.stride));
          four[r] = static_cast<uint32_t>(_mm_cvtsi128_si32(_mm512_castsi512_si128(e)));
        }
      } else {
        for (int32_t r = 0; r < kPanelRows; r++)
          for (int32_t i = 0; i < count; i++) reinterpret_cast<uint8_t*>(four + r)[i] = p[r * t.stride + 17 * i - 1];
      }
      spread_exponents(four, count, w.scale + g);
    }
  }
}

inline void pack_q8(const TileRows& t, int32_t g0, int32_t n, PacedLines& ahead, WeightPanel& w) {
  const __m512i flip = _mm512_set1_epi8(-128);
  for (int32_t g = 0; g < n; g++) {
    const uint8_t* p = t.base + static_cast<int64_t>(g0 + g) * 34;
    uint8_t* bytes = &w.bytes[g][0][0][0];
    ahead.step();
    for (int32_t h = 0; h < 2; h++) {
      for (int32_t half = 0; half < 2; half++) {
        const Dwords16 d = transpose16(p + 2 + 16 * half + 16 * h * t.stride, t.stride);
        for (int j = 0; j < 4; j++) _mm512_store_si512(bytes + 64 * h + (4 * half + j) * 4 * kPanelRows, _mm512_xor_si512(d.d[j], flip));
      }
    }
    alignas(64) uint16_t halves[kPanelRows];
    for (int32_t r = 0; r < kPanelRows; r++) std::memcpy(halves + r, p + r * t.stride, 2);
    load_f16(halves).store(w.scale[g]);
    load_f16(halves + 16).store(w.scale[g] + 16);
  }
}

// Row by row: types without a packer of their own, and tiles of fewer than 32 rows (the rest is zero).
inline void pack_unpacked(const Matrix& m, const TileRows& t, int32_t g0, int32_t n, WeightPanel& w) {
  const Int8Form form = int8_form(m);
  if (t.rows < kPanelRows) std::memset(&w, 0, sizeof(w));
  for (int32_t g = 0; g < n; g++) {
    for (int32_t r = 0; r < t.rows; r++) {
      const uint8_t* row = t.base + r * t.stride;
      alignas(32) uint8_t u[32];
      UnpackedScale s{0, 0};
      if (nibble_type(m.dtype)) {
        const bool split = m.dtype == DType::MXFP4_SPLIT;
        const uint8_t* p = split ? row + 16 * (g0 + g) : row + 17 * (g0 + g) + 1;
        int32_t e = split ? (t.scales + r * t.scale_stride)[g0 + g] : p[-1];
        e = e < kLeastExponent ? kLeastExponent : e > kMostExponent ? kMostExponent : e;
        const int32_t bits = e << 23;
        std::memcpy(&s.scale, &bits, 4);
        const __m128i n16 = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), table = _mm512_castsi512_si128(fp4_table());
        _mm_store_si128(reinterpret_cast<__m128i*>(u), _mm_shuffle_epi8(table, _mm_and_si128(n16, _mm_set1_epi8(15))));
        _mm_store_si128(reinterpret_cast<__m128i*>(u + 16), _mm_shuffle_epi8(table, _mm_and_si128(_mm_srli_epi16(n16, 4), _mm_set1_epi8(15))));
      } else {
        s = unpack_group(m, row, g0 + g, u);
      }
      for (int32_t j = 0; j < 8; j++) std::memcpy(w.bytes[g][j][r], u + 4 * j, 4);
      w.scale[g][r] = s.scale;
      w.min[g][r] = form.min ? s.min : 0;
    }
  }
}

enum class GemmKind { Exponent, Scale, Min };

// acc[token][32 rows] += panel · tokens.
template <int T, GemmKind Kind>
inline void gemm_tile(const WeightPanel& w, const PanelGroup* a, int32_t groups, PacedLines& lines, float* acc) {
  PacedLines ahead = lines;
  __m512 f0[T], f1[T];
  for (int t = 0; t < T; t++) f0[t] = _mm512_load_ps(acc + t * kPanelRows), f1[t] = _mm512_load_ps(acc + t * kPanelRows + 16);
  for (int32_t g = 0; g < groups; g++) {
    ahead.step();
    __m512i s0[T], s1[T];
    for (int t = 0; t < T; t++) s0[t] = s1[t] = Kind == GemmKind::Min ? _mm512_setzero_si512() : _mm512_set1_epi32(a[g].correction[t]);
    for (int j = 0; j < 8; j++) {
      const __m512i w0 = _mm512_load_si512(w.bytes[g][j]), w1 = _mm512_load_si512(w.bytes[g][j] + 16);
      for (int t = 0; t < T; t++) {
        int32_t dword;
        std::memcpy(&dword, a[g].q[t] + 4 * j, 4);
        const __m512i q = _mm512_set1_epi32(dword);
        s0[t] = _mm512_dpbusd_epi32(s0[t], w0, q);
        s1[t] = _mm512_dpbusd_epi32(s1[t], w1, q);
      }
    }
    const __m512 w0 = _mm512_load_ps(w.scale[g]), w1 = _mm512_load_ps(w.scale[g] + 16);
    for (int t = 0; t < T; t++) {
      const __m512 scale = _mm512_set1_ps(a[g].scale[t]);
      __m512 p0, p1;
      if constexpr (Kind == GemmKind::Exponent) {
        p0 = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(w0), _mm512_castps_si512(scale)));
        p1 = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(w1), _mm512_castps_si512(scale)));
      } else {
        p0 = _mm512_mul_ps(w0, scale), p1 = _mm512_mul_ps(w1, scale);
      }
      f0[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s0[t]), p0, f0[t]);
      f1[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s1[t]), p1, f1[t]);
    }
    if constexpr (Kind == GemmKind::Min) {
      const __m512 m0 = _mm512_load_ps(w.min[g]), m1 = _mm512_load_ps(w.min[g] + 16);
      for (int t = 0; t < T; t++) {
        float sum;
        std::memcpy(&sum, &a[g].correction[t], 4);
        f0[t] = _mm512_fmadd_ps(m0, _mm512_set1_ps(sum), f0[t]);
        f1[t] = _mm512_fmadd_ps(m1, _mm512_set1_ps(sum), f1[t]);
      }
    }
  }
  for (int t = 0; t < T; t++) _mm512_store_ps(acc + t * kPanelRows, f0[t]), _mm512_store_ps(acc + t * kPanelRows + 16, f1[t]);
  lines = ahead;
}

template <GemmKind Kind>
inline void gemm_chunk(const WeightPanel& w, const PanelGroup* a, int64_t panel_groups, int32_t groups, int32_t tokens, PacedLines& ahead, float* acc) {
  int32_t t = 0;
  for (; t + 6 <= tokens; t += 6, a += panel_groups) gemm_tile<6, Kind>(w, a, groups, ahead, acc + t * kPanelRows);
  switch (tokens - t) {
    case 1: return gemm_tile<1, Kind>(w, a, groups, ahead, acc + t * kPanelRows);
    case 2: return gemm_tile<2, Kind>(w, a, groups, ahead, acc + t * kPanelRows);
    case 3: return gemm_tile<3, Kind>(w, a, groups, ahead, acc + t * kPanelRows);
    case 4: return gemm_tile<4, Kind>(w, a, groups, ahead, acc + t * kPanelRows);
    case 5: return gemm_tile<5, Kind>(w, a, groups, ahead, acc + t * kPanelRows);
    default: return;
  }
}

// `panels`: the tokens' panels, 6 to each, panel_bytes apart. `next`: first row of this worker's next tile.
inline void gemm_int8(WeightPanel& w, const Matrix& m, const Int8Form& form, int32_t expert, int32_t row0, int32_t rows, int32_t tokens,
                      const uint8_t* panels, const uint8_t* next, float* acc) {
  const TileRows tile{row_bytes(m, expert, row0), m.dtype == DType::MXFP4_SPLIT ? row_scales(m, expert, row0) : nullptr, m.row_stride,
                      m.scale_row_stride, rows};
  std::memset(acc, 0, static_cast<size_t>(tokens) * kPanelRows * sizeof(float));
  const int32_t groups = m.cols / 32, steps = groups * (1 + tiles_of(tokens, kPanelTokens));
  PacedLines ahead{Lines(next, row_length(m), m.row_stride, kPanelRows), 0};
  ahead.per_step = (ahead.lines.left + steps - 1) / steps;
  for (int32_t g0 = 0; g0 < groups; g0 += kPanelGroups) {
    const int32_t n = groups - g0 < kPanelGroups ? groups - g0 : kPanelGroups;
    if (rows < kPanelRows) pack_unpacked(m, tile, g0, n, w);
    else if (nibble_type(m.dtype)) pack_mxfp4(m.dtype == DType::MXFP4_SPLIT, tile, g0, n, ahead, w);
    else if (m.dtype == DType::Q8_0) pack_q8(tile, g0, n, ahead, w);
    else pack_unpacked(m, tile, g0, n, w);
    const PanelGroup* a = reinterpret_cast<const PanelGroup*>(panels) + g0;
    if (nibble_type(m.dtype)) gemm_chunk<GemmKind::Exponent>(w, a, groups, n, tokens, ahead, acc);
    else if (form.min) gemm_chunk<GemmKind::Min>(w, a, groups, n, tokens, ahead, acc);
    else gemm_chunk<GemmKind::Scale>(w, a, groups, n, tokens, ahead, acc);
  }
}
