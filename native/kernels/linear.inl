// y = W x + b (or y += …) for one dense matrix: by integer dot products (fast, quantised types), else by float ones.
// Next: moe.inl.

template <class E>
inline void linear_float(Worker& w, const LinearArgs& a) {
  const Matrix& m = *a.w;
  using Stored = typename E::Stored;
  Stored* stored = reinterpret_cast<Stored*>(a.scratch);
  if (sizeof(Stored) != 4 && !direct<E>(m, a.rows)) store_rows<E>(w, a.x, a.rows, m.cols, stored);
  const int32_t row_tiles = tiles_of(m.rows, kTileRows), token_blocks = tiles_of(a.rows, kItemTokens);
  RowdotScratch<E>& s = *reinterpret_cast<RowdotScratch<E>*>(w.local);
  chunks_ahead(w, static_cast<int64_t>(row_tiles) * token_blocks, [&](int64_t i, int64_t ahead) {
    const int32_t row0 = static_cast<int32_t>(i / token_blocks) * kTileRows;
    const int32_t token0 = static_cast<int32_t>(i % token_blocks) * kItemTokens;
    const int32_t rows = m.rows - row0 < kTileRows ? m.rows - row0 : kTileRows;
    const int32_t tokens = a.rows - token0 < kItemTokens ? a.rows - token0 : kItemTokens;
    const uint8_t* next = row_bytes(m, 0, static_cast<int32_t>(ahead / token_blocks) * kTileRows);
    float_item<E>(s, m, 0, row0, rows, tokens, a.x, stored, next, [&](int32_t t) { return token0 + t; });
    for (int32_t t = 0; t < tokens; t++) {
      float* y = a.y + static_cast<int64_t>(token0 + t) * m.rows + row0;
      for (int32_t r = 0; r < rows; r++) {
        const float v = s.sums[t * kTileRows + r] + (a.bias ? a.bias[row0 + r] : 0.0f);
        y[r] = a.add ? y[r] + v : v;
      }
    }
  });
}

// Small float matrices (the router decides which experts run) keep float32: the saving would be nothing, the harm large.
inline bool keeps_float32(const Matrix& m) { return m.rows <= 256 && group_size(m.dtype).values == 1; }

void linear(Worker& w, const LinearArgs& a) {
  if (a.exact || keeps_float32(*a.w)) return linear_float<Floats>(w, a);
  if (!int8_linear(w, a)) linear_float<FastFloats>(w, a);
}

size_t linear_scratch(const Matrix& m, int32_t rows, bool exact) {
  if (exact || keeps_float32(m)) return 0;
  const size_t bytes = int8_linear_scratch(m, rows), floats = stored_bytes<FastFloats>(rows, m.cols);
  return bytes > floats ? bytes : floats;
}
