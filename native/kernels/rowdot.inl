// Float dot products of weight rows with token rows, in the fixed order of `exact`: lane = k mod 16, ascending k, fused,
// then one tree (vsum). Works for every weight type: a tile of 16 rows is decoded 256 columns at a time into this
// worker's scratch (16 KB, stays in L1) and multiplied with all tokens of the item before the next 256 columns. The
// partial sums wait in scratch meanwhile, so the order of additions never depends on tile, item or thread.
// Next: linear.inl and moe.inl, which call rowdot_item; int8 kernels for `fast`: int8_*.h.

constexpr int32_t kTileRows = 16, kChunkCols = 256, kItemTokens = 64;
// Register tile: rows times tokens partial sums.
constexpr int kDotRows = kVecAccumulators >= 24 ? 4 : 2, kDotTokens = kVecAccumulators / kDotRows;

struct RowdotScratch {
  float w[kTileRows * kChunkCols];
  float acc[kItemTokens * kTileRows * 16];  // [token][row][lane]
  float sums[kItemTokens * kTileRows];      // [token][row]
  float tail[kItemTokens * 16];             // the last cols % 16 columns of each token, padded with zeros
  const float* x[kItemTokens];
  const float* tail_x[kItemTokens];
};

template <int R, int T>
inline void rowdot_tile(const float* w, const float* const* x, int32_t k0, int32_t n, float* acc) {
  Vec s[R][T];
  for (int r = 0; r < R; r++)
    for (int t = 0; t < T; t++) s[r][t] = Vec::load(acc + (t * kTileRows + r) * 16);
  for (int32_t k = 0; k < n; k += 16) {
    Vec v[R];
    for (int r = 0; r < R; r++) v[r] = Vec::load(w + r * kChunkCols + k);
    for (int t = 0; t < T; t++) {
      const Vec a = Vec::load(x[t] + k0 + k);
      for (int r = 0; r < R; r++) s[r][t] = fma(v[r], a, s[r][t]);
    }
  }
  for (int r = 0; r < R; r++)
    for (int t = 0; t < T; t++) s[r][t].store(acc + (t * kTileRows + r) * 16);
}

template <int T>
inline void rowdot_tokens(const float* w, const float* const* x, int32_t k0, int32_t n, int32_t rows, float* acc) {
  int32_t r = 0;
  for (; r + kDotRows <= rows; r += kDotRows) rowdot_tile<kDotRows, T>(w + r * kChunkCols, x, k0, n, acc + r * 16);
  for (; r < rows; r++) rowdot_tile<1, T>(w + r * kChunkCols, x, k0, n, acc + r * 16);
}

inline void rowdot_chunk(const float* w, const float* const* x, int32_t tokens, int32_t k0, int32_t n, int32_t rows, float* acc) {
  constexpr int32_t stride = kTileRows * 16;
  int32_t t = 0;
  for (; t + kDotTokens <= tokens; t += kDotTokens) rowdot_tokens<kDotTokens>(w, x + t, k0, n, rows, acc + t * stride);
  if constexpr (kDotTokens > 4) {
    for (; t + 4 <= tokens; t += 4) rowdot_tokens<4>(w, x + t, k0, n, rows, acc + t * stride);
  }
  for (; t < tokens; t++) rowdot_tokens<1>(w, x + t, k0, n, rows, acc + t * stride);
}

// Rows [row0, row0 + rows) of one expert times at most kItemTokens tokens whose pointers are in s.x; results in s.sums.
inline void rowdot_item(RowdotScratch& s, const Matrix& m, int32_t expert, int32_t row0, int32_t rows, int32_t tokens) {
  std::memset(s.acc, 0, static_cast<size_t>(tokens) * kTileRows * 16 * sizeof(float));
  const int32_t whole = m.cols & ~15, rest = m.cols & 15;
  for (int32_t k0 = 0; k0 < m.cols; k0 += kChunkCols) {
    const int32_t n = m.cols - k0 < kChunkCols ? m.cols - k0 : kChunkCols;
    for (int32_t r = 0; r < rows; r++) {
      float* w = s.w + r * kChunkCols;
      decode_span(m, expert, row0 + r, k0, n, w);
      for (int32_t k = n; k & 15; k++) w[k] = 0;
    }
    const int32_t full = (k0 + n <= whole ? n : whole - k0);
    if (full > 0) rowdot_chunk(s.w, s.x, tokens, k0, full, rows, s.acc);
    if (full < n) {
      for (int32_t t = 0; t < tokens; t++) {
        s.tail_x[t] = s.tail + t * 16;
        for (int32_t k = 0; k < 16; k++) s.tail[t * 16 + k] = k < rest ? s.x[t][whole + k] : 0;
      }
      rowdot_chunk(s.w + full, s.tail_x, tokens, 0, 16, rows, s.acc);
    }
  }
  for (int32_t t = 0; t < tokens; t++)
    for (int32_t r = 0; r < rows; r++) s.sums[t * kTileRows + r] = vsum(Vec::load(s.acc + (t * kTileRows + r) * 16));
}
