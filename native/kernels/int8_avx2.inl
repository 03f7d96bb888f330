// Integer kernels for AVX2, same interface as int8_vnni.inl. vpmaddubsw multiplies unsigned weight bytes with signed
// activation bytes and adds pairs into 16 bits, without saturating for weights below 32: up to four such sums of a group
// fit in 16 bits before they are widened. Types with full bytes (offset 128) would saturate: their rowdot uses |w| and
// activations with w's sign, their GEMM widens both to 16 bits. With AVX-VNNI (GPTOSS_AVX_VNNI) one instruction adds four
// products into 32 bits and none of this is needed.
// Next: gemm_avx2.inl for many tokens, int8.inl.

constexpr int32_t kPanelRows = 16, kPanelTokens = 3, kRowdotTokens = 3, kInt8ItemTokens = 64 * kPanelTokens;
constexpr int32_t kPanelGroups = 16;

#ifdef GPTOSS_AVX_VNNI
constexpr bool kAvxVnni = true;
inline __m256i dot_bytes(__m256i sum, __m256i u, __m256i q) { return _mm256_dpbusd_avx_epi32(sum, u, q); }
#else
constexpr bool kAvxVnni = false;
inline __m256i dot_bytes(__m256i sum, __m256i u, __m256i q) {  // u below 128
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(u, q), _mm256_set1_epi16(1)));
}
#endif

inline bool nibble_type(DType t) { return t == DType::MXFP4 || t == DType::MXFP4_PAIRS || t == DType::MXFP4_SPLIT; }
inline bool words_type(const Int8Form& form) { return form.offset == 128 && !kAvxVnni; }

// ---- activations -----------------------------------------------------------------------------------------------------

// GEMM: one group of a tile of 3 tokens. Words: int16 activations for the types with full bytes.
struct PanelGroup {
  int8_t q[kPanelTokens][32];
  float scale[kPanelTokens];
  int32_t correction[kPanelTokens];  // −offset · Σ q; for types with a minimum the float scale · Σ q
  int32_t unused[2];
};
struct WordGroup {
  int16_t q[kPanelTokens][32];
  float scale[kPanelTokens];
  int32_t unused[5];
};
// Rowdot: four groups of one token, in the order of the weight bytes: for nibble types the halves of the four groups that
// meet the low nibbles, then those that meet the high ones.
struct Stream {
  int8_t q[128];
  float scale[4], correction[4];  // correction: scale · Σ q · (−offset, or 1 for types with a minimum)
};

inline bool gemm_serves(const Matrix&, const Int8Form& form) { return form.served; }
inline size_t panel_bytes(const Matrix& m) {
  return static_cast<size_t>(m.cols / 32) * (words_type(int8_form(m)) ? sizeof(WordGroup) : sizeof(PanelGroup));
}
inline size_t stream_bytes(int32_t cols, int32_t tokens) {
  return static_cast<size_t>(tokens) * static_cast<size_t>((cols / 32 + 3) / 4) * sizeof(Stream);
}

inline void make_panel(const Matrix& m, const Int8Form& form, const float* const* x, int32_t tokens, uint8_t* out) {
  const int32_t groups = m.cols / 32;
  const bool words = words_type(form);
  for (int32_t t = 0; t < tokens; t++) {
    for (int32_t g = 0; g < groups; g++) {
      if (words) {
        WordGroup& p = reinterpret_cast<WordGroup*>(out)[g];
        int8_t bytes[32];
        p.scale[t] = quantise_group(x[t] + 32 * g, bytes).scale * form.factor;
        for (int32_t i = 0; i < 32; i++) p.q[t][i] = bytes[i];
        continue;
      }
      PanelGroup& p = reinterpret_cast<PanelGroup*>(out)[g];
      const Quantised q = quantise_group(x[t] + 32 * g, p.q[t]);
      if (form.pairs) evens_then_odds(p.q[t]);
      p.scale[t] = q.scale * form.factor;
      if (form.min) {
        const float sum = q.scale * static_cast<float>(q.sum);
        std::memcpy(&p.correction[t], &sum, 4);
      } else {
        p.correction[t] = -form.offset * q.sum;
      }
    }
  }
}

inline void make_stream(const Matrix& m, const Int8Form& form, const float* const* x, int32_t tokens, uint8_t* out) {
  const int32_t groups = m.cols / 32;
  const bool nibbles = nibble_type(m.dtype);
  int8_t bytes[32];
  for (int32_t t = 0; t < tokens; t++) {
    for (int32_t g = 0; g < groups; g++) {
      const int32_t i = g & 3;
      Stream& s = reinterpret_cast<Stream*>(out)[(g / 4) * tokens + t];
      if (i == 0) std::memset(&s, 0, sizeof(s));
      const Quantised q = quantise_group(x[t] + 32 * g, nibbles ? bytes : s.q + 32 * i);
      if (nibbles) {
        if (form.pairs) evens_then_odds(bytes);
        std::memcpy(s.q + 16 * i, bytes, 16);
        std::memcpy(s.q + 64 + 16 * i, bytes + 16, 16);
      }
      s.scale[i] = q.scale * form.factor;
      s.correction[i] = words_type(form) ? 0 : s.scale[i] * static_cast<float>(form.min ? q.sum : -form.offset * q.sum);
    }
  }
}

// ---- rowdot ----------------------------------------------------------------------------------------------------------

inline __m256i fp4_table() {  // doubled FP4 value + 12
  return _mm256_broadcastsi128_si256(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
}

// Four groups of one row in the order of the stream, scales (and minima) of the groups.
struct Quad {
  __m256i w[4];
  __m128 scale, min;
};
enum class RowKind { Mxfp4, Split, Q8, Unpacked, UnpackedSigned };

inline __m256i join(const uint8_t* low, const uint8_t* high) {
  const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(low)), b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(high));
  return _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
}

// Rows of whole quads only; what is left of a row is copied into a padded quad by rowdot_row.
template <RowKind Kind>
inline Quad load_quad(const Matrix& m, const Int8Form& form, const uint8_t* p, const uint8_t* scales, int32_t g, int32_t groups) {
  Quad w;
  if constexpr (Kind == RowKind::Mxfp4 || Kind == RowKind::Split) {
    const __m256i mask = _mm256_set1_epi8(15), table = fp4_table();
    __m256i a, b;
    __m128i e;
    if constexpr (Kind == RowKind::Mxfp4) {
      a = join(p + 1, p + 18), b = join(p + 35, p + 52);
      e = _mm_setr_epi32(p[0], p[17], p[34], p[51]);
    } else {
      a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32));
      int32_t four;
      std::memcpy(&four, scales, 4);
      e = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(four));
    }
    w.w[0] = _mm256_shuffle_epi8(table, _mm256_and_si256(a, mask));
    w.w[1] = _mm256_shuffle_epi8(table, _mm256_and_si256(b, mask));
    w.w[2] = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(a, 4), mask));
    w.w[3] = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(b, 4), mask));
    w.scale = w.min = _mm_castsi128_ps(_mm_slli_epi32(e, 23));
  } else if constexpr (Kind == RowKind::Q8) {
    auto half = [&](int i) {
      short h;
      std::memcpy(&h, p + 34 * i, 2);
      return h;
    };
    for (int i = 0; i < 4; i++) {
      w.w[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 34 * i + 2));
      if (kAvxVnni) w.w[i] = _mm256_xor_si256(w.w[i], _mm256_set1_epi8(-128));
    }
    w.scale = w.min = _mm_cvtph_ps(_mm_setr_epi16(half(0), half(1), half(2), half(3), 0, 0, 0, 0));
  } else {
    alignas(32) uint8_t u[128] = {};
    alignas(16) float scale[4] = {}, min[4] = {};
    for (int i = 0; i < groups; i++) {
      const UnpackedScale s = unpack_group(m, p, g + i, u + 32 * i);
      scale[i] = s.scale;
      min[i] = form.min ? s.min : s.scale;
    }
    for (int i = 0; i < 4; i++) {
      w.w[i] = _mm256_load_si256(reinterpret_cast<const __m256i*>(u) + i);
      if (Kind == RowKind::UnpackedSigned) w.w[i] = _mm256_xor_si256(w.w[i], _mm256_set1_epi8(-128));
    }
    w.scale = _mm_load_ps(scale), w.min = _mm_load_ps(min);
  }
  return w;
}

template <RowKind Kind>
inline void dot_quad(const Quad& w, const Stream& s, __m256& sum, __m128& corrections) {
  const __m128 scale4 = _mm_mul_ps(w.scale, _mm_loadu_ps(s.scale));
  const __m256 scale = _mm256_castps128_ps256(scale4);
  auto q = [&](int i) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(s.q) + i); };
  if constexpr (Kind == RowKind::Mxfp4 || Kind == RowKind::Split) {
    corrections = _mm_fmadd_ps(w.min, _mm_loadu_ps(s.correction), corrections);
#ifdef GPTOSS_AVX_VNNI
    const __m256i a = dot_bytes(dot_bytes(_mm256_setzero_si256(), w.w[0], q(0)), w.w[2], q(2));
    const __m256i b = dot_bytes(dot_bytes(_mm256_setzero_si256(), w.w[1], q(1)), w.w[3], q(3));
#else
    const __m256i ones = _mm256_set1_epi16(1);
    const __m256i a = _mm256_madd_epi16(_mm256_add_epi16(_mm256_maddubs_epi16(w.w[0], q(0)), _mm256_maddubs_epi16(w.w[2], q(2))), ones);
    const __m256i b = _mm256_madd_epi16(_mm256_add_epi16(_mm256_maddubs_epi16(w.w[1], q(1)), _mm256_maddubs_epi16(w.w[3], q(3))), ones);
#endif
    sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(a), _mm256_permutevar8x32_ps(scale, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1)), sum);
    sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(b), _mm256_permutevar8x32_ps(scale, _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3)), sum);
  } else {
    constexpr bool is_signed = (Kind == RowKind::Q8 || Kind == RowKind::UnpackedSigned) && !kAvxVnni;
    if (!is_signed) corrections = _mm_fmadd_ps(w.min, _mm_loadu_ps(s.correction), corrections);
    for (int i = 0; i < 4; i++) {
      const __m256i u = is_signed ? _mm256_abs_epi8(w.w[i]) : w.w[i], v = is_signed ? _mm256_sign_epi8(q(i), w.w[i]) : q(i);
      const __m256i d = dot_bytes(_mm256_setzero_si256(), u, v);
      sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(d), _mm256_permutevar8x32_ps(scale, _mm256_set1_epi32(i)), sum);
    }
  }
}

inline float sum8(__m256 a) {
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}

constexpr int64_t kAheadBytes = 4096;

// One row at a time: only a single ascending stream keeps the level 2 prefetcher busy. `ahead`: where software prefetch
// goes for this row.
template <RowKind Kind, int T>
inline void rowdot_row(const Matrix& m, const Int8Form& form, const uint8_t* p, const uint8_t* scales, const uint8_t* ahead, const Stream* stream, float* out) {
  constexpr bool unpacked = Kind == RowKind::Unpacked || Kind == RowKind::UnpackedSigned;
  constexpr int64_t quad = Kind == RowKind::Mxfp4 ? 68 : Kind == RowKind::Split ? 64 : Kind == RowKind::Q8 ? 136 : 0;
  constexpr int lines = Kind == RowKind::Mxfp4 || Kind == RowKind::Split ? 1 : 2;
  const int32_t groups = m.cols / 32, whole = groups & ~3;
  const uint8_t* const ahead_end = ahead + m.row_stride;
  __m256 sums[T];
  __m128 corrections[T];
  for (int t = 0; t < T; t++) sums[t] = _mm256_setzero_ps(), corrections[t] = _mm_setzero_ps();
  for (int32_t g = 0; g < whole; g += 4, stream += T, p += quad, ahead += 64 * lines) {
    for (int i = 0; i < lines; i++) _mm_prefetch(reinterpret_cast<const char*>(ahead) + 64 * i, _MM_HINT_T0);
    const Quad w = load_quad<Kind>(m, form, p, scales + g, g, 4);
    for (int t = 0; t < T; t++) dot_quad<Kind>(w, stream[t], sums[t], corrections[t]);
  }
  for (; ahead < ahead_end; ahead += 64) _mm_prefetch(reinterpret_cast<const char*>(ahead), _MM_HINT_T0);
  if (groups > whole) {  // no byte beyond the row is read
    alignas(32) uint8_t padded[136] = {};
    uint8_t padded_scales[4] = {};
    const int32_t rest = groups - whole;
    if (!unpacked) std::memcpy(padded, p, static_cast<size_t>(rest) * static_cast<size_t>(quad / 4));
    if (Kind == RowKind::Split) std::memcpy(padded_scales, scales + whole, static_cast<size_t>(rest));
    const Quad w = load_quad<Kind>(m, form, unpacked ? p : padded, padded_scales, whole, rest);
    for (int t = 0; t < T; t++) dot_quad<Kind>(w, stream[t], sums[t], corrections[t]);
  }
  for (int t = 0; t < T; t++) out[t * kRowTile] = sum8(_mm256_add_ps(sums[t], _mm256_zextps128_ps256(corrections[t])));
}

template <RowKind Kind, int T>
inline void rowdot_tile(const Matrix& m, const Int8Form& form, const uint8_t* stream, const uint8_t* base, const uint8_t* scales, int32_t rows,
                        const uint8_t* next, float* out) {
  const int32_t distance = m.row_stride >= kAheadBytes ? 1 : static_cast<int32_t>((kAheadBytes + m.row_stride - 1) / m.row_stride);
  for (int32_t r = 0; r < rows; r++) {
    const uint8_t* ahead = r + distance < rows ? base + (r + distance) * m.row_stride : next + (r + distance - rows) * m.row_stride;
    rowdot_row<Kind, T>(m, form, base + r * m.row_stride, scales + r * m.scale_row_stride, ahead, reinterpret_cast<const Stream*>(stream), out + r);
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
  if (nibble_type(m.dtype)) return rowdot_kind<RowKind::Mxfp4>(m, form, tokens, stream, base, base, rows, next, out);
  if (m.dtype == DType::Q8_0) return rowdot_kind<RowKind::Q8>(m, form, tokens, stream, base, base, rows, next, out);
  if (words_type(form)) return rowdot_kind<RowKind::UnpackedSigned>(m, form, tokens, stream, base, base, rows, next, out);
  rowdot_kind<RowKind::Unpacked>(m, form, tokens, stream, base, base, rows, next, out);
}

#include "gemm_avx2.inl"
