// Float dot products of weight rows with token rows. In `exact` (Floats) their order is fixed: lane = k mod 16, ascending
// k, fused, then one tree (vsum); it depends on nothing else, so a row has the same bits in any tile, item or thread.
// `fast` uses the same loops in bf16 (Bf16) where the processor has the instruction. Two shapes of work:
//   direct: 1 to 4 tokens. A row is decoded in registers and used at once; only for the types with a vector decoder.
//   tile:   any number, any type. 16 rows are decoded into this worker's scratch, as many columns at a time as stay in L1,
//           and multiplied with all tokens of the item before the next columns. Partial sums wait in scratch meanwhile.
// Next: linear.inl and moe.inl, which call rowdot_item; int8_*.inl for what `fast` does instead with quantised types.

constexpr int32_t kTileRows = 16, kItemTokens = 64, kDirectTokens = 4;
// Register tile: rows times tokens partial sums. Where a Vec is more than one register its halves (lanes 0-7, 8-15) are
// gone through one after the other, which allows larger tiles.
constexpr bool kWholeVec = kVecAccumulators >= 24;
constexpr int kDotRows = kWholeVec ? 4 : 2, kDotTokens = kVecAccumulators >= 6 ? 6 : 2;
template <bool Whole> struct PartOf { using type = Vec; };
template <> struct PartOf<false> { using type = Vec8; };

struct Floats {
  using Stored = float;
  using Part = PartOf<kWholeVec>::type;
  using Operand = Part;
  static constexpr int32_t lanes = 16, chunk = 256;
  static inline Part mac(Operand w, Operand x, Part sum) { return fma(w, x, sum); }
  static inline void from(const float* values, int32_t n, float* out) {
    if (out != values) std::memcpy(out, values, static_cast<size_t>(n) * sizeof(float));
  }
};
#ifdef GPTOSS_BF16_DOT
struct Bf16 {
  using Stored = uint16_t;
  using Part = PartOf<kWholeVec>::type;
  using Operand = PairsOf<Part>::type;
  static constexpr int32_t lanes = 32, chunk = 512;
  static inline Part mac(Operand w, Operand x, Part sum) { return dot(w, x, sum); }
  static inline void from(const float* values, int32_t n, uint16_t* out) {
    int32_t k = 0;
    for (; k + 32 <= n; k += 32) store_bf16(Vec::load(values + k), Vec::load(values + k + 16), out + k);
    if (k == n) return;
    float rest[32] = {};
    for (int32_t i = k; i < n; i++) rest[i - k] = values[i];
    uint16_t tail[32];
    store_bf16(Vec::load(rest), Vec::load(rest + 16), tail);
    std::memcpy(out + k, tail, static_cast<size_t>(n - k) * sizeof(uint16_t));
  }
};
#endif

#ifdef GPTOSS_BF16_DOT
using FastFloats = Bf16;
#else
using FastFloats = Floats;
#endif

template <class E>
struct RowdotScratch {
  typename E::Stored w[kTileRows * E::chunk];
  float acc[kItemTokens * kTileRows * 16];         // [token][row][lane]
  float sums[kItemTokens * kTileRows];             // [token][row]
  typename E::Stored tail[kItemTokens * E::lanes]; // the last cols % lanes columns of each token, padded with zeros
  const typename E::Stored* x[kItemTokens];
  const typename E::Stored* tail_x[kItemTokens];
  float decoded[E::chunk];
};

// ---- tile ------------------------------------------------------------------------------------------------------------

template <class E, int R, int T>
inline void rowdot_tile(const typename E::Stored* w, const typename E::Stored* const* x, int32_t k0, int32_t n, float* acc) {
  using Part = typename E::Part;
  constexpr int32_t part = static_cast<int32_t>(sizeof(Part) / sizeof(float)), values = E::lanes / 16;  // to a sum
  for (int32_t p = 0; p < 16; p += part) {
    Part s[R][T];
    for (int r = 0; r < R; r++)
      for (int t = 0; t < T; t++) s[r][t] = Part::load(acc + (t * kTileRows + r) * 16 + p);
    for (int32_t k = 0; k < n; k += E::lanes) {
      typename E::Operand row[R];
      for (int r = 0; r < R; r++) row[r] = E::Operand::load(w + r * E::chunk + k + p * values);
      for (int t = 0; t < T; t++) {
        const typename E::Operand token = E::Operand::load(x[t] + k0 + k + p * values);
        for (int r = 0; r < R; r++) s[r][t] = E::mac(row[r], token, s[r][t]);
      }
    }
    for (int r = 0; r < R; r++)
      for (int t = 0; t < T; t++) s[r][t].store(acc + (t * kTileRows + r) * 16 + p);
  }
}

template <class E, int T>
inline void rowdot_tokens(const typename E::Stored* w, const typename E::Stored* const* x, int32_t k0, int32_t n, int32_t rows, float* acc) {
  int32_t r = 0;
  for (; r + kDotRows <= rows; r += kDotRows) rowdot_tile<E, kDotRows, T>(w + r * E::chunk, x, k0, n, acc + r * 16);
  for (; r < rows; r++) rowdot_tile<E, 1, T>(w + r * E::chunk, x, k0, n, acc + r * 16);
}

template <class E>
inline void rowdot_chunk(const typename E::Stored* w, const typename E::Stored* const* x, int32_t tokens, int32_t k0, int32_t n, int32_t rows, float* acc) {
  constexpr int32_t stride = kTileRows * 16;
  int32_t t = 0;
  for (; t + kDotTokens <= tokens; t += kDotTokens) rowdot_tokens<E, kDotTokens>(w, x + t, k0, n, rows, acc + t * stride);
  if constexpr (kDotTokens > 2) {
    for (; t + 2 <= tokens; t += 2) rowdot_tokens<E, 2>(w, x + t, k0, n, rows, acc + t * stride);
  }
  for (; t < tokens; t++) rowdot_tokens<E, 1>(w, x + t, k0, n, rows, acc + t * stride);
}

// Columns [k0, k0 + n) of a row, padded with zeros to whole lanes.
template <class E>
inline void decode_stored(const Matrix& m, int32_t expert, int32_t row, int32_t k0, int32_t n, float* decoded, typename E::Stored* out) {
  if constexpr (sizeof(typename E::Stored) == 4) {
    decode_span(m, expert, row, k0, n, out);
  } else if (m.dtype == DType::BF16 && m.col_stride == 0) {
    std::memcpy(out, row_bytes(m, expert, row) + 2 * static_cast<int64_t>(k0), static_cast<size_t>(n) * 2);
  } else {
    decode_span(m, expert, row, k0, n, decoded);
    E::from(decoded, n, out);
  }
  for (int32_t k = n; k % E::lanes; k++) out[k] = 0;
}

// Rows [row0, row0 + rows) of one expert times at most kItemTokens tokens whose pointers are in s.x; results in s.sums.
template <class E>
inline void rowdot_item(RowdotScratch<E>& s, const Matrix& m, int32_t expert, int32_t row0, int32_t rows, int32_t tokens) {
  std::memset(s.acc, 0, static_cast<size_t>(tokens) * kTileRows * 16 * sizeof(float));
  const int32_t rest = m.cols % E::lanes, whole = m.cols - rest;
  for (int32_t k0 = 0; k0 < m.cols; k0 += E::chunk) {
    const int32_t n = m.cols - k0 < E::chunk ? m.cols - k0 : E::chunk;
    for (int32_t r = 0; r < rows; r++) decode_stored<E>(m, expert, row0 + r, k0, n, s.decoded, s.w + r * E::chunk);
    const int32_t full = k0 + n <= whole ? n : whole - k0;
    if (full > 0) rowdot_chunk<E>(s.w, s.x, tokens, k0, full, rows, s.acc);
    if (full < n) {
      for (int32_t t = 0; t < tokens; t++) {
        s.tail_x[t] = s.tail + t * E::lanes;
        for (int32_t k = 0; k < E::lanes; k++) s.tail[t * E::lanes + k] = k < rest ? s.x[t][whole + k] : 0;
      }
      rowdot_chunk<E>(s.w + full, s.tail_x, tokens, 0, E::lanes, rows, s.acc);
    }
  }
  for (int32_t t = 0; t < tokens; t++) vsum16(s.acc + t * kTileRows * 16, s.sums + t * kTileRows);
}

// ---- direct ----------------------------------------------------------------------------------------------------------

// 32 consecutive values of a row, which begin a group where the type has groups.
template <DType Type>
inline VecPair load_values(const uint8_t* p, const uint8_t* scale) {
  if constexpr (Type == DType::F32) {
    const float* f = reinterpret_cast<const float*>(p);
    return {Vec::load(f), Vec::load(f + 16)};
  } else if constexpr (Type == DType::F16) {
    return {load_f16(p), load_f16(p + 32)};
  } else if constexpr (Type == DType::BF16) {
    return {load_bf16(p), load_bf16(p + 32)};
  } else if constexpr (Type == DType::Q8_0) {
    const Vec d = Vec::set(load_half(p));
    return {load_i8(p + 2) * d, load_i8(p + 18) * d};
  } else {
    const bool split = Type == DType::MXFP4_SPLIT;
    VecPair v = load_fp4(split ? p : p + 1);
    if (Type != DType::MXFP4) v = vinterleave(v);
    const Vec d = Vec::set(mxfp4_half_scale(split ? *scale : *p));
    return {v.lo * d, v.hi * d};
  }
}

// R rows at a time: float types one (a single stream keeps hardware prefetch going), the others two (their decoding, not
// memory, is the limit).
template <DType Type, int R, int T>
inline void direct_rows(const Matrix& m, const uint8_t* const* rows, const uint8_t* const* scales, const uint8_t* ahead, const float* const* x, float* out,
                        int32_t stride) {
  const GroupSize size = group_size(Type);
  const int64_t step = size.values == 1 ? 32 * size.bytes : size.bytes;
  const int32_t whole = m.cols & ~31;
  Vec s[R][T];
  for (int r = 0; r < R; r++)
    for (int t = 0; t < T; t++) s[r][t] = Vec::zero();
  int64_t at = 0;
  for (int32_t k = 0; k < whole; k += 32, at += step) {
    if constexpr (R == 1) {
      prefetch(ahead + at);
      if (Type == DType::F32) prefetch(ahead + at + 64);
    }
    for (int r = 0; r < R; r++) {
      const VecPair v = load_values<Type>(rows[r] + at, scales[r] + k / 32);
      for (int t = 0; t < T; t++) s[r][t] = fma(v.hi, Vec::load(x[t] + k + 16), fma(v.lo, Vec::load(x[t] + k), s[r][t]));
    }
  }
  for (int32_t k = whole; k < m.cols; k += 16) {  // plain floats only
    const int32_t n = m.cols - k < 16 ? m.cols - k : 16;
    float values[16] = {}, token[16] = {};
    for (int r = 0; r < R; r++) {
      for (int32_t i = 0; i < n; i++) values[i] = load_scalar(Type, rows[r] + static_cast<int64_t>(k + i) * size.bytes);
      for (int t = 0; t < T; t++) {
        for (int32_t i = 0; i < n; i++) token[i] = x[t][k + i];
        s[r][t] = fma(Vec::load(values), Vec::load(token), s[r][t]);
      }
    }
  }
  for (int r = 0; r < R; r++)
    for (int t = 0; t < T; t++) out[t * stride + r] = vsum(s[r][t]);
}

template <DType Type, int T>
inline void direct_tile(const Matrix& m, int32_t expert, int32_t row0, int32_t rows, const float* const* x, const uint8_t* next, float* out, int32_t stride) {
  constexpr int R = Type == DType::F32 || Type == DType::F16 || Type == DType::BF16 || kVecAccumulators < 8 ? 1 : 2;
  const uint8_t* base = row_bytes(m, expert, row0);
  const uint8_t* scales = Type == DType::MXFP4_SPLIT ? row_scales(m, expert, row0) : base;
  int32_t r = 0;
  for (; r + R <= rows; r += R) {
    const uint8_t *p[R], *s[R];
    for (int i = 0; i < R; i++) p[i] = base + (r + i) * m.row_stride, s[i] = scales + (r + i) * m.scale_row_stride;
    direct_rows<Type, R, T>(m, p, s, r + R < rows ? p[0] + R * m.row_stride : next, x, out + r, stride);
  }
  for (; r < rows; r++) {
    const uint8_t *p = base + r * m.row_stride, *s = scales + r * m.scale_row_stride;
    direct_rows<Type, 1, T>(m, &p, &s, next, x, out + r, stride);
  }
}

template <int T>
inline void direct_tokens(const Matrix& m, int32_t expert, int32_t row0, int32_t rows, const float* const* x, const uint8_t* next, float* out, int32_t stride) {
  switch (m.dtype) {
    case DType::F32: return direct_tile<DType::F32, T>(m, expert, row0, rows, x, next, out, stride);
    case DType::F16: return direct_tile<DType::F16, T>(m, expert, row0, rows, x, next, out, stride);
    case DType::BF16: return direct_tile<DType::BF16, T>(m, expert, row0, rows, x, next, out, stride);
    case DType::Q8_0: return direct_tile<DType::Q8_0, T>(m, expert, row0, rows, x, next, out, stride);
    case DType::MXFP4: return direct_tile<DType::MXFP4, T>(m, expert, row0, rows, x, next, out, stride);
    case DType::MXFP4_PAIRS: return direct_tile<DType::MXFP4_PAIRS, T>(m, expert, row0, rows, x, next, out, stride);
    default: return direct_tile<DType::MXFP4_SPLIT, T>(m, expert, row0, rows, x, next, out, stride);
  }
}

// bf16 tokens are half the size: three or more of them in float32 would not fit in L1.
template <class E>
inline bool direct(const Matrix& m, int32_t tokens) {
  return tokens <= (sizeof(typename E::Stored) == 4 ? kDirectTokens : 2) && m.col_stride == 0 && m.dtype <= DType::MXFP4_SPLIT;
}

// out[token * stride + row] for 1 to kDirectTokens tokens. `next`: first row of this worker's next tile, to prefetch.
inline void direct_item(const Matrix& m, int32_t expert, int32_t row0, int32_t rows, int32_t tokens, const float* const* x, const uint8_t* next, float* out,
                        int32_t stride) {
  switch (tokens) {
    case 1: return direct_tokens<1>(m, expert, row0, rows, x, next, out, stride);
    case 2: return direct_tokens<2>(m, expert, row0, rows, x, next, out, stride);
    case 3: return direct_tokens<3>(m, expert, row0, rows, x, next, out, stride);
    default: return direct_tokens<4>(m, expert, row0, rows, x, next, out, stride);
  }
}

// ---- both ------------------------------------------------------------------------------------------------------------

// Token rows as E stores them: float32 rows as they are, others converted into scratch, padded with zeros.
template <class E>
inline int32_t stored_stride(int32_t cols) {
  return (cols + E::lanes - 1) / E::lanes * E::lanes;
}
template <class E>
inline size_t stored_bytes(int32_t rows, int32_t cols) {
  return sizeof(typename E::Stored) == 4 ? 0 : static_cast<size_t>(rows) * stored_stride<E>(cols) * sizeof(typename E::Stored);
}
template <class E>
inline void store_rows(Worker& w, const float* x, int32_t rows, int32_t cols, typename E::Stored* out) {
  const int32_t stride = stored_stride<E>(cols);
  w.chunks(rows, [&](int64_t i) {
    E::from(x + i * cols, cols, out + i * stride);
    for (int32_t k = cols; k < stride; k++) out[i * stride + k] = 0;
  });
}

// One tile of weight rows times the tokens whose row numbers `row_of(t)` gives; results in s.sums.
template <class E, class RowOf>
inline void float_item(RowdotScratch<E>& s, const Matrix& m, int32_t expert, int32_t row0, int32_t rows, int32_t tokens, const float* x,
                       const typename E::Stored* stored, const uint8_t* next, RowOf row_of) {
  if (direct<E>(m, tokens)) {
    const float* token[kDirectTokens];
    for (int32_t t = 0; t < tokens; t++) token[t] = x + static_cast<int64_t>(row_of(t)) * m.cols;
    return direct_item(m, expert, row0, rows, tokens, token, next, s.sums, kTileRows);
  }
  for (int32_t t = 0; t < tokens; t++) {
    if constexpr (sizeof(typename E::Stored) == 4) s.x[t] = x + static_cast<int64_t>(row_of(t)) * m.cols;
    else s.x[t] = stored + static_cast<int64_t>(row_of(t)) * stored_stride<E>(m.cols);
  }
  rowdot_item(s, m, expert, row0, rows, tokens);
}
