// Integer kernels for AVX-512 with VNNI and VBMI: vpdpbusd on 64 bytes. Here what both shapes of work share, and the one
// for few tokens:
//   rowdot: 1 to 3 tokens. Lanes run along k; the weights stream from memory once and every token's dot is taken while
//           they are in registers. Activations lie in a "stream" that has them in the order of the weight bytes.
// More tokens: gemm_vnni.inl, or gemm_amx.inl where the processor has matrix tiles. Next: int8.inl, which drives them.

constexpr int32_t kRowdotTokens = 3;

// ---- activations -----------------------------------------------------------------------------------------------------

// Rowdot: first all bytes, [quad of groups][token][128], then all factors, [quad][token]. For nibble types the bytes are
// the four 16-byte halves that meet the low nibbles, then those that meet the high ones. correction: scale · Σ q times
// −offset (or 1 for types with a minimum), to be multiplied by the weights' scale (minimum).
constexpr int64_t kQuadBytes = 128;
struct QuadFactors {
  float scale[4], correction[4];
};

inline bool nibble_type(DType t) { return t == DType::MXFP4 || t == DType::MXFP4_PAIRS || t == DType::MXFP4_SPLIT; }

inline size_t stream_bytes(int32_t cols, int32_t tokens) {
  return static_cast<size_t>(tokens) * static_cast<size_t>((cols / 32 + 3) / 4) * (kQuadBytes + sizeof(QuadFactors));
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

// R rows at a time share the loads of activations. `ahead`: what is fetched while each row is worked on.
template <RowKind Kind, int R, int T>
inline void rowdot_rows(const Matrix& m, const Int8Form& form, RowCursor* c, const uint8_t* const* ahead, const uint8_t* stream, float* const* out) {
  constexpr int lines = Kind == RowKind::Q8 || Kind == RowKind::Unpacked ? 2 : 1;  // of a quad; some are left for the end
  const int32_t groups = m.cols / 32, whole = groups & ~3;
  const QuadFactors* factors = reinterpret_cast<const QuadFactors*>(stream + (groups + 3) / 4 * T * kQuadBytes);
  __m512 sums[R][T];
  __m256 corrections[R][T];
  for (int r = 0; r < R; r++)
    for (int t = 0; t < T; t++) sums[r][t] = _mm512_setzero_ps(), corrections[r][t] = _mm256_setzero_ps();
  int64_t at = 0;
  for (int32_t g = 0; g < whole; g += 4, stream += T * kQuadBytes, factors += T, at += 64 * lines) {
    for (int r = 0; r < R; r++) {
      for (int i = 0; i < lines; i++) prefetch(ahead[r] + at + 64 * i);
      const Quad w = load_quad<Kind, true>(m, form, c[r], g, 4);
      for (int t = 0; t < T; t++) dot_quad<Kind>(w, stream + t * kQuadBytes, factors[t], sums[r][t], corrections[r][t]);
    }
  }
  for (const int64_t length = row_length(m); at < length; at += 64)
    for (int r = 0; r < R; r++) prefetch(ahead[r] + at);
  if (groups > whole) {
    for (int r = 0; r < R; r++) {
      const Quad w = load_quad<Kind, false>(m, form, c[r], whole, groups - whole);
      for (int t = 0; t < T; t++) dot_quad<Kind>(w, stream + t * kQuadBytes, factors[t], sums[r][t], corrections[r][t]);
    }
  }
  for (int r = 0; r < R; r++)
    for (int t = 0; t < T; t++) {
      out[r][t * kRowTile] = vsum(Vec{_mm512_add_ps(sums[r][t], _mm512_zextps128_ps512(_mm256_extractf128_ps(corrections[r][t], 1)))});
    }
}

// The tile is walked as two halves side by side: two ascending streams, each fetched some kilobytes ahead, read memory as
// fast as plain loads do, in 4 KB pages as well. One stream, or the same rows in one stream, is up to 1.5 times slower
// where a page's end stops the hardware's prefetcher (docs/performance.md).
constexpr int64_t kAheadBytes = 4096;
template <RowKind Kind, int T>
inline void rowdot_tile(const Matrix& m, const Int8Form& form, const uint8_t* stream, const uint8_t* base, const uint8_t* scales, int32_t rows,
                        const uint8_t* next, float* out) {
  const int32_t half = rows / 2, distance = static_cast<int32_t>((kAheadBytes + m.row_stride - 1) / m.row_stride);
  auto cursor = [&](int32_t r) { return RowCursor{base + r * m.row_stride, scales ? scales + r * m.scale_row_stride : nullptr}; };
  for (int32_t r = 0; r < half; r++) {
    RowCursor c[2] = {cursor(r), cursor(half + r)};
    const uint8_t* first = r + distance < half ? base + (r + distance) * m.row_stride : next + (r + distance - half) * m.row_stride;
    const uint8_t* const ahead[2] = {first, first + half * m.row_stride};
    float* const outs[2] = {out + r, out + half + r};
    rowdot_rows<Kind, 2, T>(m, form, c, ahead, stream, outs);
  }
  if (rows % 2 != 0) {
    RowCursor c = cursor(rows - 1);
    float* const last = out + rows - 1;
    rowdot_rows<Kind, 1, T>(m, form, &c, &next, stream, &last);
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

// out[token * kRowTile + row] for rows [row0, row0 + rows). `next`: first row of this worker's next tile, to prefetch (any address).
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

// ---- for both kinds of gemm ------------------------------------------------------------------------------------------

// 16 rows of 16 bytes, register j holding dword j of them all: four rows to a register (rows i, i+4, i+8, i+12), then a
// 4×4 transpose of dwords within 128-bit lanes.
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

// Where a tile of weights lies.
struct TileRows {
  const uint8_t *base, *scales;
  int64_t stride, scale_stride;
  int32_t rows;
};

#ifdef GPTOSS_AMX
namespace bytes {
#include "gemm_vnni.inl"
}
namespace tiles {
#include "gemm_amx.inl"
}
#include "gemm_choice.inl"
#else
#include "gemm_vnni.inl"
#endif
