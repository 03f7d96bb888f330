// Integer kernels for AVX-512 with VNNI and VBMI: vpdpbusd on 64 bytes. Two shapes of work, both give
// out[token][kPanelRows] for a tile of rows of one expert:
//   rowdot: 1 to 3 tokens. Lanes run along k; the weights stream from memory once and every token's dot is taken while
//           they are in registers. Activations lie in a "stream" that has them in the order of the weight bytes.
//   gemm:   more tokens. Rows are decoded into a panel in this worker's scratch (lane = row, four consecutive k in each
//           lane, the layout vpdpbusd wants) and multiplied with tiles of 6 tokens whose bytes are broadcast.
// Next: int8.inl, which drives both.

constexpr int32_t kPanelRows = 32, kPanelTokens = 6, kRowdotTokens = 3;
constexpr int32_t kPanelGroups = 16;  // groups decoded at a time: 32 rows · 16 groups · 36 bytes = 18 KB, in L1

// ---- activations -----------------------------------------------------------------------------------------------------

// GEMM: one group of a tile of 6 tokens.
struct PanelGroup {
  int8_t q[kPanelTokens][32];
  float scale[kPanelTokens];         // for MXFP4 its bits, ready to have the weights' exponent added (exponent_scale)
  int32_t correction[kPanelTokens];  // −offset · Σ q; for types with a minimum the float scale · Σ q
  int32_t unused[4];
};
static_assert(sizeof(PanelGroup) == 256, "");

// Rowdot: first all bytes, [quad of groups][token][128], then all factors, [quad][token]. For nibble types the bytes are
// the four 16-byte halves that meet the low nibbles, then those that meet the high ones. correction: scale · Σ q times
// −offset (or 1 for types with a minimum), to be multiplied by the weights' scale (minimum).
constexpr int64_t kQuadBytes = 128;
struct QuadFactors {
  float scale[4], correction[4];
};

inline bool nibble_type(DType t) { return t == DType::MXFP4 || t == DType::MXFP4_PAIRS || t == DType::MXFP4_SPLIT; }

inline size_t panel_bytes(const Matrix& m) { return static_cast<size_t>(m.cols / 32) * sizeof(PanelGroup); }
inline size_t stream_bytes(int32_t cols, int32_t tokens) {
  return static_cast<size_t>(tokens) * static_cast<size_t>((cols / 32 + 3) / 4) * (kQuadBytes + sizeof(QuadFactors));
}

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

inline void make_stream(const Matrix& m, const Int8Form& form, const float* const* x, int32_t tokens, uint8_t* out) {
  const int32_t groups = m.cols / 32, quads = (groups + 3) / 4;
  const bool nibbles = nibble_type(m.dtype);
  QuadFactors* factors = reinterpret_cast<QuadFactors*>(out + quads * tokens * kQuadBytes);
  int8_t bytes[32];
  for (int32_t t = 0; t < tokens; t++) {
    for (int32_t g = 0; g < groups; g++) {
      const int32_t i = g & 3, at = (g / 4) * tokens + t;
      int8_t* quad = reinterpret_cast<int8_t*>(out) + at * kQuadBytes;
      QuadFactors& f = factors[at];
      if (i == 0) {
        std::memset(quad, 0, kQuadBytes);
        std::memset(&f, 0, sizeof(f));
      }
      const Quantised q = quantise_group(x[t] + 32 * g, nibbles ? bytes : quad + 32 * i);
      if (nibbles) {
        if (form.pairs) evens_then_odds(bytes);
        std::memcpy(quad + 16 * i, bytes, 16);
        std::memcpy(quad + 64 + 16 * i, bytes + 16, 16);
      }
      f.scale[i] = q.scale * form.factor;
      f.correction[i] = f.scale[i] * static_cast<float>(form.min ? q.sum : -form.offset * q.sum);
    }
  }
}

// ---- rowdot ----------------------------------------------------------------------------------------------------------

// Nibble → doubled FP4 value + 12. 64 entries, so that vpermb needs no masking of the upper bits.
inline __m512i fp4_table() {
  return _mm512_broadcast_i32x4(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
}

// Four groups of one row: 128 unsigned bytes in the order of the stream; the groups' scales, then their scales again or
// their minima, to be multiplied by a stream's scales and corrections.
struct Quad {
  __m512i a, b;
  __m256 factors;
};

// Keeps a loaded value in its register: g++ would load it again for its second use, and these loads cross cache lines.
inline void pin(__m512i& value) {
#if defined(__GNUC__)
  __asm__("" : "+v"(value));
#else
  (void)value;
#endif
}

// One row's place in memory.
struct RowCursor {
  const uint8_t *p, *scales;
};

// `exponents`: one scale byte in the low byte of each dword.
inline Quad nibbles_to_quad(__m512i nibbles, __m256i exponents) {
  const __m512i table = fp4_table();
  return {_mm512_permutexvar_epi8(nibbles, table), _mm512_permutexvar_epi8(_mm512_srli_epi16(nibbles, 4), table),
          _mm256_castsi256_ps(_mm256_slli_epi32(exponents, 23))};
}

// 68 bytes of four 17-byte groups: a 64-byte load for all scales and three groups, a 16-byte one for the last group.
// `groups` < 4 reads and keeps only the bytes of that many.
template <bool Whole>
inline Quad quad_mxfp4(RowCursor& c, int32_t groups) {
  alignas(64) static const uint8_t order[64] = {
      1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33,
      35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0};
  const __m512i index = _mm512_load_si512(order);
  const __m512i scale_index = _mm512_setr_epi32(0, 17, 34, 51, 0, 17, 34, 51, 0, 0, 0, 0, 0, 0, 0, 0);
  __m512i a = Whole ? _mm512_loadu_si512(c.p) : _mm512_maskz_loadu_epi8((1ull << (17 * groups)) - 1, c.p);
  pin(a);
  const __m512i last = Whole ? _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(c.p + 52))) : _mm512_setzero_si512();
  c.p += 68;
  return nibbles_to_quad(_mm512_mask_permutexvar_epi8(last, 0x0000ffffffffffffull, index, a),
                         _mm512_castsi512_si256(_mm512_maskz_permutexvar_epi8(0x11111111, scale_index, a)));
}
template <bool Whole>
inline Quad quad_split(RowCursor& c, int32_t groups) {
  uint32_t e = 0;
  std::memcpy(&e, c.scales, Whole ? 4 : static_cast<size_t>(groups));
  const __m512i n = Whole ? _mm512_loadu_si512(c.p) : _mm512_maskz_loadu_epi8((1ull << (16 * groups)) - 1, c.p);
  c.p += 64;
  c.scales += 4;
  const __m256i index = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, -1, -1, 1, -1, -1, -1, 2, -1, -1, -1, 3, -1, -1, -1));
  return nibbles_to_quad(n, _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(e)), index));
}
template <bool Whole>
inline Quad quad_q8(RowCursor& c, int32_t groups) {
  const __m512i sign = _mm512_set1_epi8(-128);
  auto bytes = [&](int g) { return Whole || g < groups ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(c.p + 34 * g + 2)) : _mm512_castsi512_si256(sign); };
  auto half = [&](int g) {
    short h = 0;
    if (Whole || g < groups) std::memcpy(&h, c.p + 34 * g, 2);
    return h;
  };
  const __m512i a = _mm512_inserti64x4(_mm512_castsi256_si512(bytes(0)), bytes(1), 1);
  const __m512i b = _mm512_inserti64x4(_mm512_castsi256_si512(bytes(2)), bytes(3), 1);
  const __m128i halves = _mm_setr_epi16(half(0), half(1), half(2), half(3), 0, 0, 0, 0);
  c.p += 136;
  return {_mm512_xor_si512(a, sign), _mm512_xor_si512(b, sign), _mm256_cvtph_ps(_mm_unpacklo_epi64(halves, halves))};
}

enum class RowKind { Mxfp4, Split, Q8, Unpacked };

template <RowKind Kind, bool Whole>
inline Quad load_quad(const Matrix& m, const Int8Form& form, RowCursor& c, int32_t g, int32_t groups) {
  if constexpr (Kind == RowKind::Mxfp4) return quad_mxfp4<Whole>(c, groups);
  if constexpr (Kind == RowKind::Split) return quad_split<Whole>(c, groups);
  if constexpr (Kind == RowKind::Q8) return quad_q8<Whole>(c, groups);
  alignas(64) uint8_t u[128];
  alignas(32) float factors[8] = {};
  if (!Whole) std::memset(u, 0, sizeof(u));
  for (int i = 0; i < (Whole ? 4 : groups); i++) {
    const UnpackedScale s = unpack_group(m, c.p, g + i, u + 32 * i);
    factors[i] = s.scale;
    factors[4 + i] = form.min ? s.min : s.scale;
  }
  return {_mm512_load_si512(u), _mm512_load_si512(u + 64), _mm256_load_ps(factors)};
}

// Lanes of one scale per group: nibble order has a group in four lanes of both registers, byte order in eight of one.
// The upper four lanes of `corrections` collect the corrections, the lower ones nothing of use.
template <RowKind Kind>
inline void dot_quad(const Quad& w, const uint8_t* bytes, const QuadFactors& factors, __m512& sum, __m256& corrections) {
  const __m256 product = _mm256_mul_ps(w.factors, _mm256_loadu_ps(factors.scale));
  const __m512i q0 = _mm512_loadu_si512(bytes), q1 = _mm512_loadu_si512(bytes + 64);
  corrections = _mm256_add_ps(corrections, product);
  const __m512 scale = _mm512_castps256_ps512(product);
  const __m512i zero = _mm512_setzero_si512();
  if constexpr (Kind == RowKind::Mxfp4 || Kind == RowKind::Split) {
    const __m512i spread = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    const __m512i d = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(zero, w.a, q0), w.b, q1);
    sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(d), _mm512_permutexvar_ps(spread, scale), sum);
  } else {
    const __m512i low = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1), high = _mm512_add_epi32(low, _mm512_set1_epi32(2));
    const __m512i d = _mm512_dpbusd_epi32(zero, w.a, q0), e = _mm512_dpbusd_epi32(zero, w.b, q1);
    sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(d), _mm512_permutexvar_ps(low, scale), sum);
    sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(e), _mm512_permutexvar_ps(high, scale), sum);
  }
}

// R rows at a time share the loads of activations. Their lines are fetched R rows ahead, in ascending order of address
// whatever the order of use: only one ascending stream keeps the level 2 prefetcher busy, and without that a core has too
// few misses in flight (24 on Zen 4: 12 GB/s of 30).
template <RowKind Kind, int R, int T>
inline void rowdot_rows(const Matrix& m, const Int8Form& form, RowCursor* c, Lines ahead, const uint8_t* stream, float* out) {
  constexpr int lines = R * (Kind == RowKind::Q8 || Kind == RowKind::Unpacked ? 2 : 1);  // of R quads; some are left for the end
  const int32_t groups = m.cols / 32, whole = groups & ~3;
  const QuadFactors* factors = reinterpret_cast<const QuadFactors*>(stream + (groups + 3) / 4 * T * kQuadBytes);
  __m512 sums[R][T];
  __m256 corrections[R][T];
  for (int r = 0; r < R; r++)
    for (int t = 0; t < T; t++) sums[r][t] = _mm512_setzero_ps(), corrections[r][t] = _mm256_setzero_ps();
  for (int32_t g = 0; g < whole; g += 4, stream += T * kQuadBytes, factors += T) {
    for (int i = 0; i < lines; i++) ahead.fetch();
    for (int r = 0; r < R; r++) {
      const Quad w = load_quad<Kind, true>(m, form, c[r], g, 4);
      for (int t = 0; t < T; t++) dot_quad<Kind>(w, stream + t * kQuadBytes, factors[t], sums[r][t], corrections[r][t]);
    }
  }
  while (ahead.left > 0) ahead.fetch();
  if (groups > whole) {
    for (int r = 0; r < R; r++) {
      const Quad w = load_quad<Kind, false>(m, form, c[r], whole, groups - whole);
      for (int t = 0; t < T; t++) dot_quad<Kind>(w, stream + t * kQuadBytes, factors[t], sums[r][t], corrections[r][t]);
    }
  }
  for (int r = 0; r < R; r++)
    for (int t = 0; t < T; t++) {
      out[t * kPanelRows + r] = vsum(Vec{_mm512_add_ps(sums[r][t], _mm512_zextps128_ps512(_mm256_extractf128_ps(corrections[r][t], 1)))});
    }
}

template <RowKind Kind, int T>
inline void rowdot_tile(const Matrix& m, const Int8Form& form, const uint8_t* stream, const uint8_t* base, const uint8_t* scales, int32_t rows,
                        const uint8_t* next, float* out) {
  constexpr int R = T == 1 ? 4 : 2;
  const int64_t length = row_length(m);
  for (int32_t r = 0; r < rows;) {
    const int32_t n = r + R <= rows ? R : 1;
    RowCursor c[R];
    for (int32_t i = 0; i < n; i++) c[i] = {base + (r + i) * m.row_stride, scales ? scales + (r + i) * m.scale_row_stride : nullptr};
    const Lines ahead(r + n < rows ? c[0].p + n * m.row_stride : next, length, m.row_stride, n);
    if (n == R) rowdot_rows<Kind, R, T>(m, form, c, ahead, stream, out + r);
    else rowdot_rows<Kind, 1, T>(m, form, c, ahead, stream, out + r);
    r += n;
  }
}

template <RowKind Kind>
inline void rowdot_kind(const Matrix& m, const Int8Form& form, int32_t tokens, const uint8_t* stream, const uint8_t* base, const uint8_t* scales,
                        int32_t rows, const uint8_t* next, float* out) {
  switch (tokens) {
    case 1: return rowdot_tile<Kind, 1>(m, form, stream, base, scales, rows, next, out);
    case 2: return rowdot_tile<Kind, 2>(m, form, stream, base, scales, rows, next, out);
    default: return rowdot_tile<Kind, 3>(m, form, stream, base, scales, rows, next, out);
  }
}

// out[token][row] for rows [row0, row0 + rows). `next`: first row of this worker's next tile, to prefetch (any address).
inline void rowdot_int8(const Matrix& m, const Int8Form& form, int32_t expert, int32_t row0, int32_t rows, int32_t tokens, const uint8_t* stream,
                        const uint8_t* next, float* out) {
  const uint8_t* base = row_bytes(m, expert, row0);
  if (m.dtype == DType::MXFP4_SPLIT) {
    return rowdot_kind<RowKind::Split>(m, form, tokens, stream, base, row_scales(m, expert, row0), rows, next, out);
  }
  if (nibble_type(m.dtype)) return rowdot_kind<RowKind::Mxfp4>(m, form, tokens, stream, base, nullptr, rows, next, out);
  if (m.dtype == DType::Q8_0) return rowdot_kind<RowKind::Q8>(m, form, tokens, stream, base, nullptr, rows, next, out);
  rowdot_kind<RowKind::Unpacked>(m, form, tokens, stream, base, nullptr, rows, next, out);
}

// ---- gemm ------------------------------------------------------------------------------------------------------------

// A decoded chunk of weights. bytes: [group][8 dwords][32 rows][4]; scales and mins: [group][32 rows].
struct WeightPanel {
  uint8_t bytes[kPanelGroups][8][kPanelRows][4];
  float scale[kPanelGroups][kPanelRows];  // MXFP4: the scale byte in the exponent's place, nothing else
  float min[kPanelGroups][kPanelRows];
};

// 16 rows of 16 bytes, register j holding dword j of them all: four rows to a register (rows i, i+4, i+8, i+12), then a
// 4×4 transpose of dwords within 128-bit lanes. .
struct Dwords16 { __m512i d[4]; };
inline Dwords16 transpose16(const uint8_t* p, int64_t stride) {
  const int64_t stride3 = 3 * stride;
  const uint8_t* q[4] = {p, p + 4 * stride, p + 8 * stride, p + 12 * stride};
  auto load = [](const uint8_t* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); };
  auto join = [&](int64_t at) {
    const __m256i a = _mm256_inserti128_si256(_mm256_castsi128_si256(load(q[0] + at)), load(q[1] + at), 1);
    const __m256i b = _mm256_inserti128_si256(_mm256_castsi128_si256(load(q[2] + at)), load(q[3] + at), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1);
  };
  const __m512i r0 = join(0), r1 = join(stride), r2 = join(2 * stride), r3 = join(stride3);
  const __m512i a = _mm512_unpacklo_epi32(r0, r1), b = _mm512_unpackhi_epi32(r0, r1);
  const __m512i c = _mm512_unpacklo_epi32(r2, r3), d = _mm512_unpackhi_epi32(r2, r3);
  return {{_mm512_unpacklo_epi64(a, c), _mm512_unpackhi_epi64(a, c), _mm512_unpacklo_epi64(b, d), _mm512_unpackhi_epi64(b, d)}};
}

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

// Where a tile of weights lies.
struct TileRows {
  const uint8_t *base, *scales;
  int64_t stride, scale_stride;
  int32_t rows;
};

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
