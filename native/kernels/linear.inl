// y = W x + b (or y += …) for one dense matrix. Chooses between the float path (rowdot.inl) and int8 (fast). Next: moe.inl.

inline void linear_float(Worker& w, const LinearArgs& a) {
  const Matrix& m = *a.w;
  const int32_t row_tiles = tiles_of(m.rows, kTileRows), token_blocks = tiles_of(a.rows, kItemTokens);
  RowdotScratch& s = *reinterpret_cast<RowdotScratch*>(w.local);
  w.chunks(static_cast<int64_t>(row_tiles) * token_blocks, [&](int64_t i) {
    const int32_t row0 = static_cast<int32_t>(i / token_blocks) * kTileRows;
    const int32_t token0 = static_cast<int32_t>(i % token_blocks) * kItemTokens;
    const int32_t rows = m.rows - row0 < kTileRows ? m.rows - row0 : kTileRows;
    const int32_t tokens = a.rows - token0 < kItemTokens ? a.rows - token0 : kItemTokens;
    for (int32_t t = 0; t < tokens; t++) s.x[t] = a.x + static_cast<int64_t>(token0 + t) * m.cols;
    rowdot_item(s, m, 0, row0, rows, tokens);
    for (int32_t t = 0; t < tokens; t++) {
      float* y = a.y + static_cast<int64_t>(token0 + t) * m.rows + row0;
      for (int32_t r = 0; r < rows; r++) {
        const float v = s.sums[t * kTileRows + r] + (a.bias ? a.bias[row0 + r] : 0.0f);
        y[r] = a.add ? y[r] + v : v;
      }
    }
  });
}

void linear(Worker& w, const LinearArgs& a) {
  if (a.exact || !int8_linear(w, a)) linear_float(w, a);
}

size_t linear_scratch(const Matrix& m, int32_t rows, bool exact) { return exact ? 0 : int8_linear_scratch(m, rows); }
