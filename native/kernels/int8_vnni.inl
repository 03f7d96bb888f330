// Integer kernels for AVX-512 with VNNI and VBMI: vpdpbusd on 64 bytes. Two shapes of work, both give
// out[token][kPanelRows] for a tile of rows of one expert:
//   rowdot: 1 to 4 tokens. Lanes run along k; the weights stream from memory once and every token's dot is taken while
//           they are in registers. Activations lie in a "stream" that has them in the order of the weight bytes.
//   gemm:   more tokens. Rows are decoded into a panel in this worker's scratch (lane = row, four consecutive k in each
//           lane, the layout vpdpbusd wants) and multiplied with tiles of 6 tokens whose bytes are broadcast.
// Next: int8.inl, which drives both.

constexpr int32_t kPanelRows = 32, kPanelTokens = 6, kRowdotTokens = 4;
constexpr int32_t kPanelGroups = 16;  // groups decoded at a time: 32 rows · 16 groups · 36 bytes = 18 KB, in L1

// ---- activations -----------------------------------------------------------------------------------------------------

// GEMM: one group of a tile of 6 tokens.
struct PanelGroup {
  int8_t q[kPanelTokens][32];
  float scale[kPanelTokens];
  int32_t correction[kPanelTokens];  // −offset · Σ q; for types with a minimum the float scale · Σ q
  int32_t unused[4];
};
static_assert(sizeof(PanelGroup) == 256, "");

// Rowdot, 16-byte halves: four groups of one token. lo meets the low nibbles of the four groups, hi the high ones.
struct NibbleStream {
  int8_t lo[64], hi[64];
  int32_t correction[16];  // in the first of each group's four lanes
  float scale[16];         // in all four lanes
};
// Rowdot, whole bytes: two groups of one token.
struct ByteStream {
  int8_t q[64];
  int32_t correction[16];  // in the first of each group's eight lanes
  float scale[16];
  float sum[16];           // scale · Σ q in the first lane, for types with a minimum
};

inline bool nibble_type(DType t) { return t == DType::MXFP4 || t == DType::MXFP4_PAIRS || t == DType::MXFP4_SPLIT; }

inline size_t panel_bytes(int32_t cols) { return static_cast<size_t>(cols / 32) * sizeof(PanelGroup); }
inline size_t stream_bytes(DType t, int32_t cols, int32_t tokens) {
  const int32_t groups = cols / 32;
  return static_cast<size_t>(tokens) * (nibble_type(t) ? ((groups + 3) / 4) * sizeof(NibbleStream) : ((groups + 1) / 2) * sizeof(ByteStream));
}

inline void make_panel(const Matrix& m, const Int8Form& form, const float* const* x, int32_t tokens, uint8_t* out) {
  PanelGroup* p = reinterpret_cast<PanelGroup*>(out);
  const int32_t groups = m.cols / 32;
  for (int32_t t = 0; t < tokens; t++) {
    for (int32_t g = 0; g < groups; g++) {
      const Quantised q = quantise_group(x[t] + 32 * g, p[g].q[t]);
      if (form.pairs) evens_then_odds(p[g].q[t]);
      p[g].scale[t] = q.scale * form.factor;
      if (form.min) {
        const float sum = q.scale * static_cast<float>(q.sum);
        std::memcpy(&p[g].correction[t], &sum, 4);
      } else {
        p[g].correction[t] = -form.offset * q.sum;
      }
    }
  }
}

inline void make_stream(const Matrix& m, const Int8Form& form, const float* const* x, int32_t tokens, uint8_t* out) {
  const int32_t groups = m.cols / 32;
  std::memset(out, 0, stream_bytes(m.dtype, m.cols, tokens));
  int8_t bytes[32];
  for (int32_t t = 0; t < tokens; t++) {
    for (int32_t g = 0; g < groups; g++) {
      const Quantised q = quantise_group(x[t] + 32 * g, bytes);
      if (form.pairs) evens_then_odds(bytes);
      if (nibble_type(m.dtype)) {
        NibbleStream& s = reinterpret_cast<NibbleStream*>(out)[(g / 4) * tokens + t];
        const int32_t i = g & 3;
        std::memcpy(s.lo + 16 * i, bytes, 16);
        std::memcpy(s.hi + 16 * i, bytes + 16, 16);
        s.correction[4 * i] = -form.offset * q.sum;
        for (int32_t l = 0; l < 4; l++) s.scale[4 * i + l] = q.scale * form.factor;
      } else {
        ByteStream& s = reinterpret_cast<ByteStream*>(out)[(g / 2) * tokens + t];
        const int32_t i = g & 1;
        std::memcpy(s.q + 32 * i, bytes, 32);
        s.correction[8 * i] = -form.offset * q.sum;
        for (int32_t l = 0; l < 8; l++) s.scale[8 * i + l] = q.scale;
        s.sum[8 * i] = q.scale * static_cast<float>(q.sum);
      }
    }
  }
}

// ---- rowdot ----------------------------------------------------------------------------------------------------------

// Nibble → doubled FP4 value + 12. 64 entries, so that vpermb needs no masking of the upper bits.
inline __m512i fp4_table() {
  return _mm512_broadcast_i32x4(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
}

struct QuadWeights { __m512i nibbles, exponents; };  // 4 groups: 64 nibble bytes; scale bytes in their lanes' low byte

// 68 bytes of four 17-byte groups as two overlapping loads: the second ends with the last group.
inline QuadWeights load_quad17(const uint8_t* p, __mmask64 first, __mmask64 second) {
  static const uint8_t order[64] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23,
                                    24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46,
                                    47, 48, 49, 50, 0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0};
  const __m512i index = _mm512_loadu_si512(order);
  const __m512i scale_index = _mm512_setr_epi32(0, 0, 0, 0, 17, 17, 17, 17, 34, 34, 34, 34, 51, 51, 51, 51);
  const __m512i a = _mm512_maskz_loadu_epi8(first, p), b = _mm512_maskz_loadu_epi8(second, p + 4);
  return {_mm512_mask_permutexvar_epi8(b, 0x0000ffffffffffffull, index, a),
          _mm512_maskz_permutexvar_epi8(0x1111111111111111ull, scale_index, a)};
}
inline QuadWeights load_quad17(const uint8_t* p) { return load_quad17(p, ~0ull, ~0ull); }

template <int T>
inline void quad_step(const QuadWeights& w, __m512i table, const NibbleStream* a, __m512* sums) {
  const __m512i lo = _mm512_permutexvar_epi8(w.nibbles, table);
  const __m512i hi = _mm512_permutexvar_epi8(_mm512_srli_epi16(w.nibbles, 4), table);
  const __m512 scale = _mm512_castsi512_ps(_mm512_slli_epi32(w.exponents, 23));
  for (int t = 0; t < T; t++) {
    __m512i s = _mm512_dpbusd_epi32(_mm512_loadu_si512(a[t].correction), lo, _mm512_loadu_si512(a[t].lo));
    s = _mm512_dpbusd_epi32(s, hi, _mm512_loadu_si512(a[t].hi));
    sums[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s), _mm512_mul_ps(scale, _mm512_loadu_ps(a[t].scale)), sums[t]);
  }
}

constexpr int32_t kAhead = 1536;  // bytes of software prefetch; hardware stops at page ends

template <int T>
inline void rowdot_mxfp4(const Matrix& m, int32_t expert, int32_t row0, int32_t rows, const uint8_t* stream, float* out) {
  const int32_t groups = m.cols / 32, quads = groups / 4, rest = groups & 3;
  const __m512i table = fp4_table();
  for (int32_t r = 0; r < rows; r++) {
    const uint8_t* p = row_bytes(m, expert, row0 + r);
    const NibbleStream* a = reinterpret_cast<const NibbleStream*>(stream);
    __m512 sums[T];
    for (int t = 0; t < T; t++) sums[t] = _mm512_setzero_ps();
    if (m.dtype == DType::MXFP4_SPLIT) {
      const uint8_t* s = row_scales(m, expert, row0 + r);
      const __m512i spread = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
      for (int32_t q = 0; q < quads; q++, p += 64, s += 4, a += T) {
        _mm_prefetch(reinterpret_cast<const char*>(p) + kAhead, _MM_HINT_T0);
        uint32_t e;
        std::memcpy(&e, s, 4);
        const __m512i exponents = _mm512_maskz_permutexvar_epi8(0x1111111111111111ull, spread, _mm512_set1_epi32(static_cast<int>(e)));
        quad_step<T>({_mm512_loadu_si512(p), exponents}, table, a, sums);
      }
      if (rest) {
        uint32_t e = 0;
        std::memcpy(&e, s, static_cast<size_t>(rest));
        const __m512i exponents = _mm512_maskz_permutexvar_epi8(0x1111111111111111ull, spread, _mm512_set1_epi32(static_cast<int>(e)));
        quad_step<T>({_mm512_maskz_loadu_epi8((1ull << (16 * rest)) - 1, p), exponents}, table, a, sums);
      }
    } else {
      for (int32_t q = 0; q < quads; q++, p += 68, a += T) {
        _mm_prefetch(reinterpret_cast<const char*>(p) + kAhead, _MM_HINT_T0);
        quad_step<T>(load_quad17(p), table, a, sums);
      }
      if (rest) quad_step<T>(load_quad17(p, (1ull << (17 * rest)) - 1, (1ull << (17 * rest - 4)) - 1), table, a, sums);
    }
    for (int t = 0; t < T; t++) out[t * kPanelRows + r] = vsum(Vec{sums[t]});
  }
}

template <int T>
inline void pair_step(__m512i u, __m512 scale, const ByteStream* a, __m512* sums) {
  for (int t = 0; t < T; t++) {
    const __m512i s = _mm512_dpbusd_epi32(_mm512_loadu_si512(a[t].correction), u, _mm512_loadu_si512(a[t].q));
    sums[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s), _mm512_mul_ps(scale, _mm512_loadu_ps(a[t].scale)), sums[t]);
  }
}

template <int T>
inline void rowdot_q8(const Matrix& m, int32_t expert, int32_t row0, int32_t rows, const uint8_t* stream, float* out) {
  const int32_t groups = m.cols / 32, pairs = groups / 2;
  const __m512i sign = _mm512_set1_epi8(-128);
  const __m512i index = _mm512_setr_epi32(0, 0, 0, 0, 0x00110011, 0x00110011, 0x00110011, 0x00110011, 0, 0, 0, 0, 0, 0, 0, 0);
  for (int32_t r = 0; r < rows; r++) {
    const uint8_t* p = row_bytes(m, expert, row0 + r);
    const ByteStream* a = reinterpret_cast<const ByteStream*>(stream);
    __m512 sums[T];
    for (int t = 0; t < T; t++) sums[t] = _mm512_setzero_ps();
    for (int32_t g = 0; g < pairs; g++, p += 68, a += T) {
      _mm_prefetch(reinterpret_cast<const char*>(p) + kAhead, _MM_HINT_T0);
      const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 2));
      const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 36));
      const __m512i u = _mm512_xor_si512(_mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1), sign);
      const __m512i halves = _mm512_permutexvar_epi16(index, _mm512_loadu_si512(p));
      pair_step<T>(u, _mm512_cvtph_ps(_mm512_castsi512_si256(halves)), a, sums);
    }
    if (groups & 1) {
      const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 2));
      const __m512i u = _mm512_xor_si512(_mm512_inserti64x4(sign, first, 0), sign);
      pair_step<T>(u, _mm512_set1_ps(load_half(p)), a, sums);
    }
    for (int t = 0; t < T; t++) out[t * kPanelRows + r] = vsum(Vec{sums[t]});
  }
}

// Other types: each row is unpacked into bytes first.
template <int T>
inline void rowdot_unpacked(const Matrix& m, const Int8Form& form, int32_t expert, int32_t row0, int32_t rows, const uint8_t* stream, float* out) {
  const int32_t groups = m.cols / 32;
  for (int32_t r = 0; r < rows; r++) {
    const uint8_t* p = row_bytes(m, expert, row0 + r);
    const ByteStream* a = reinterpret_cast<const ByteStream*>(stream);
    __m512 sums[T];
    for (int t = 0; t < T; t++) sums[t] = _mm512_setzero_ps();
    for (int32_t g = 0; g < groups; g += 2, a += T) {
      alignas(64) uint8_t u[64];
      const UnpackedScale s0 = unpack_group(m, p, g, u);
      const UnpackedScale s1 = g + 1 < groups ? unpack_group(m, p, g + 1, u + 32) : UnpackedScale{0, 0};
      if (g + 1 == groups) std::memset(u + 32, 0, 32);
      const __m512 scale = _mm512_insertf32x8(_mm512_set1_ps(s0.scale), _mm256_set1_ps(s1.scale), 1);
      pair_step<T>(_mm512_load_si512(u), scale, a, sums);
      if (form.min) {
        const __m512 min = _mm512_insertf32x8(_mm512_set1_ps(s0.min), _mm256_set1_ps(s1.min), 1);
        for (int t = 0; t < T; t++) sums[t] = _mm512_fmadd_ps(min, _mm512_loadu_ps(a[t].sum), sums[t]);
      }
    }
    for (int t = 0; t < T; t++) out[t * kPanelRows + r] = vsum(Vec{sums[t]});
  }
}

template <int T>
inline void rowdot_tokens_int8(const Matrix& m, const Int8Form& form, int32_t expert, int32_t row0, int32_t rows, const uint8_t* stream, float* out) {
  if (nibble_type(m.dtype)) return rowdot_mxfp4<T>(m, expert, row0, rows, stream, out);
  if (m.dtype == DType::Q8_0) return rowdot_q8<T>(m, expert, row0, rows, stream, out);
  rowdot_unpacked<T>(m, form, expert, row0, rows, stream, out);
}
inline void rowdot_int8(const Matrix& m, const Int8Form& form, int32_t expert, int32_t row0, int32_t rows, int32_t tokens,
                        const uint8_t* stream, float* out) {
  switch (tokens) {
    case 1: return rowdot_tokens_int8<1>(m, form, expert, row0, rows, stream, out);
    case 2: return rowdot_tokens_int8<2>(m, form, expert, row0, rows, stream, out);
    case 3: return rowdot_tokens_int8<3>(m, form, expert, row0, rows, stream, out);
    default: return rowdot_tokens_int8<4>(m, form, expert, row0, rows, stream, out);
  }
}

// ---- gemm ------------------------------------------------------------------------------------------------------------

// A decoded chunk of weights. bytes: [group][8 dwords][32 rows][4]; scales and mins: [group][32 rows].
struct WeightPanel {
  uint8_t bytes[kPanelGroups][8][kPanelRows][4];
  float scale[kPanelGroups][kPanelRows];
  float min[kPanelGroups][kPanelRows];
  uint8_t exponent[kPanelGroups][kPanelRows];
};

// Nibble bytes of 16 rows: four rows to a register (rows i, i+4, i+8, i+12), then a 4×4 transpose of dwords, so that
// register j holds dword j of the 16 rows.
inline void pack_nibbles16(const uint8_t* const* rows, int64_t at, __m512i table, uint8_t* low, uint8_t* high) {
  __m512i r[4];
  for (int i = 0; i < 4; i++) {
    auto load = [&](int row) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[row] + at)); };
    const __m256i a = _mm256_inserti128_si256(_mm256_castsi128_si256(load(i)), load(i + 4), 1);
    const __m256i b = _mm256_inserti128_si256(_mm256_castsi128_si256(load(i + 8)), load(i + 12), 1);
    r[i] = _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1);
  }
  const __m512i a = _mm512_unpacklo_epi32(r[0], r[1]), b = _mm512_unpackhi_epi32(r[0], r[1]);
  const __m512i c = _mm512_unpacklo_epi32(r[2], r[3]), d = _mm512_unpackhi_epi32(r[2], r[3]);
  const __m512i t[4] = {_mm512_unpacklo_epi64(a, c), _mm512_unpackhi_epi64(a, c), _mm512_unpacklo_epi64(b, d), _mm512_unpackhi_epi64(b, d)};
  for (int j = 0; j < 4; j++) {
    _mm512_store_si512(low + j * 4 * kPanelRows, _mm512_permutexvar_epi8(t[j], table));
    _mm512_store_si512(high + j * 4 * kPanelRows, _mm512_permutexvar_epi8(_mm512_srli_epi16(t[j], 4), table));
  }
}

inline void pack_mxfp4(const Matrix& m, const uint8_t* const* rows, const uint8_t* const* scales, int32_t g0, int32_t n, WeightPanel& w) {
  const bool split = m.dtype == DType::MXFP4_SPLIT;
  const __m512i table = fp4_table();
  for (int32_t g = 0; g < n; g++) {
    const int64_t at = split ? (g0 + g) * 16 : (g0 + g) * 17 + 1;
    uint8_t* bytes = &w.bytes[g][0][0][0];
    pack_nibbles16(rows, at, table, bytes, bytes + 16 * kPanelRows);
    pack_nibbles16(rows + 16, at, table, bytes + 64, bytes + 16 * kPanelRows + 64);
    for (int32_t r = 0; r < kPanelRows; r++) w.exponent[g][r] = split ? scales[r][g0 + g] : rows[r][at - 1];
  }
  for (int32_t g = 0; g < n; g++) {
    for (int32_t h = 0; h < kPanelRows; h += 16) {
      const __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w.exponent[g] + h)));
      _mm512_storeu_ps(w.scale[g] + h, _mm512_castsi512_ps(_mm512_slli_epi32(e, 23)));
    }
  }
}

// 16 rows of 16 bytes to 4 registers of dwords, for whole-byte types.
inline void pack_bytes16(const uint8_t* const* rows, int64_t at, __m512i flip, uint8_t* out) {
  __m512i r[4];
  for (int i = 0; i < 4; i++) {
    auto load = [&](int row) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[row] + at)); };
    const __m256i a = _mm256_inserti128_si256(_mm256_castsi128_si256(load(i)), load(i + 4), 1);
    const __m256i b = _mm256_inserti128_si256(_mm256_castsi128_si256(load(i + 8)), load(i + 12), 1);
    r[i] = _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1);
  }
  const __m512i a = _mm512_unpacklo_epi32(r[0], r[1]), b = _mm512_unpackhi_epi32(r[0], r[1]);
  const __m512i c = _mm512_unpacklo_epi32(r[2], r[3]), d = _mm512_unpackhi_epi32(r[2], r[3]);
  _mm512_store_si512(out, _mm512_xor_si512(_mm512_unpacklo_epi64(a, c), flip));
  _mm512_store_si512(out + 4 * kPanelRows, _mm512_xor_si512(_mm512_unpackhi_epi64(a, c), flip));
  _mm512_store_si512(out + 8 * kPanelRows, _mm512_xor_si512(_mm512_unpacklo_epi64(b, d), flip));
  _mm512_store_si512(out + 12 * kPanelRows, _mm512_xor_si512(_mm512_unpackhi_epi64(b, d), flip));
}

inline void pack_q8(const uint8_t* const* rows, int32_t g0, int32_t n, WeightPanel& w) {
  const __m512i flip = _mm512_set1_epi8(-128);
  for (int32_t g = 0; g < n; g++) {
    const int64_t at = static_cast<int64_t>(g0 + g) * 34;
    uint8_t* bytes = &w.bytes[g][0][0][0];
    for (int32_t h = 0; h < 2; h++) {
      pack_bytes16(rows + 16 * h, at + 2, flip, bytes + 64 * h);
      pack_bytes16(rows + 16 * h, at + 18, flip, bytes + 64 * h + 16 * kPanelRows);
    }
    alignas(64) uint16_t halves[kPanelRows];
    for (int32_t r = 0; r < kPanelRows; r++) std::memcpy(halves + r, rows[r] + at, 2);
    load_f16(halves).store(w.scale[g]);
    load_f16(halves + 16).store(w.scale[g] + 16);
  }
}

inline void pack_unpacked(const Matrix& m, const uint8_t* const* rows, int32_t g0, int32_t n, WeightPanel& w) {
  for (int32_t g = 0; g < n; g++) {
    for (int32_t r = 0; r < kPanelRows; r++) {
      uint8_t u[32];
      const UnpackedScale s = unpack_group(m, rows[r], g0 + g, u);
      for (int32_t j = 0; j < 8; j++) std::memcpy(w.bytes[g][j][r], u + 4 * j, 4);
      w.scale[g][r] = s.scale;
      w.min[g][r] = s.min;
    }
  }
}

// acc[token][32 rows] += panel · tokens.
template <int T, bool Min>
inline void gemm_tile(const WeightPanel& w, const PanelGroup* a, int32_t groups, float* acc) {
  __m512 f0[T], f1[T];
  for (int t = 0; t < T; t++) f0[t] = _mm512_load_ps(acc + t * kPanelRows), f1[t] = _mm512_load_ps(acc + t * kPanelRows + 16);
  for (int32_t g = 0; g < groups; g++) {
    __m512i s0[T], s1[T];
    for (int t = 0; t < T; t++) s0[t] = s1[t] = Min ? _mm512_setzero_si512() : _mm512_set1_epi32(a[g].correction[t]);
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
      f0[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s0[t]), _mm512_mul_ps(w0, scale), f0[t]);
      f1[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s1[t]), _mm512_mul_ps(w1, scale), f1[t]);
    }
    if constexpr (Min) {
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
}

template <bool Min>
inline void gemm_tile(int32_t tokens, const WeightPanel& w, const PanelGroup* a, int32_t groups, float* acc) {
  switch (tokens) {
    case 1: return gemm_tile<1, Min>(w, a, groups, acc);
    case 2: return gemm_tile<2, Min>(w, a, groups, acc);
    case 3: return gemm_tile<3, Min>(w, a, groups, acc);
    case 4: return gemm_tile<4, Min>(w, a, groups, acc);
    case 5: return gemm_tile<5, Min>(w, a, groups, acc);
    default: return gemm_tile<6, Min>(w, a, groups, acc);
  }
}

// `panels`: the tokens' panels, 6 to each, panel_bytes apart.
inline void gemm_int8(WeightPanel& w, const Matrix& m, const Int8Form& form, int32_t expert, int32_t row0, int32_t rows, int32_t tokens,
                      const uint8_t* panels, float* acc) {
  const uint8_t *p[kPanelRows], *s[kPanelRows];
  for (int32_t r = 0; r < kPanelRows; r++) {  // missing rows repeat the last one; nobody reads their results
    p[r] = row_bytes(m, expert, row0 + (r < rows ? r : rows - 1));
    s[r] = m.dtype == DType::MXFP4_SPLIT ? row_scales(m, expert, row0 + (r < rows ? r : rows - 1)) : nullptr;
  }
  std::memset(acc, 0, static_cast<size_t>(tokens) * kPanelRows * sizeof(float));
  const int32_t groups = m.cols / 32;
  for (int32_t g0 = 0; g0 < groups; g0 += kPanelGroups) {
    const int32_t n = groups - g0 < kPanelGroups ? groups - g0 : kPanelGroups;
    if (nibble_type(m.dtype)) pack_mxfp4(m, p, s, g0, n, w);
    else if (m.dtype == DType::Q8_0) pack_q8(p, g0, n, w);
    else pack_unpacked(m, p, g0, n, w);
    const uint8_t* panel = panels + static_cast<size_t>(g0) * sizeof(PanelGroup);
    for (int32_t t = 0; t < tokens; t += kPanelTokens, panel += panel_bytes(m.cols)) {
      const int32_t count = tokens - t < kPanelTokens ? tokens - t : kPanelTokens;
      const PanelGroup* a = reinterpret_cast<const PanelGroup*>(panel);
      form.min ? gemm_tile<true>(count, w, a, n, acc + t * kPanelRows) : gemm_tile<false>(count, w, a, n, acc + t * kPanelRows);
    }
  }
}
