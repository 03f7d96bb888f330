// Matrix products of any orientation. B is packed, one panel of kPanel columns and kDepth rows at a time (it stays in the
// first cache); A is read where it lies when its rows are contiguous, else packed once per slice of the depth.
// A tile of C lives in registers: kTileRows x kPanel. Each element of C is one chain of fused multiply-adds over ascending
// k in slices of kDepth, whatever the tile's place: results do not depend on m and n.

#if defined(__AVX512F__)
constexpr int kTileRows = 8, kPanelVecs = 3;
#elif defined(__AVX2__) || defined(__ARM_NEON)
constexpr int kTileRows = 6, kPanelVecs = 1;
#else
constexpr int kTileRows = 4, kPanelVecs = 1;
#endif
constexpr int kPanel = 16 * kPanelVecs;
constexpr int kDepth = 128;

// C[R, 16 V] over one slice of depth. A(r, k) = a[r * a_row + k * a_k].
template <int R, int V, bool Packed>
inline void gemm_tile(float* c, int64_t ldc, const float* a, int64_t a_row, const float* b, int32_t depth, const float* bias,
                      bool load) {
  Vec sum[R][V];
  for (int r = 0; r < R; r++) {
    for (int v = 0; v < V; v++) {
      sum[r][v] = load ? Vec::load(c + r * ldc + 16 * v) : bias != nullptr ? Vec::load(bias + 16 * v) : Vec::zero();
    }
  }
  for (int32_t k = 0; k < depth; k++) {
    Vec column[V];
    for (int v = 0; v < V; v++) column[v] = Vec::load(b + static_cast<int64_t>(k) * 16 * V + 16 * v);
    for (int r = 0; r < R; r++) {
      const Vec x = Vec::set(Packed ? a[static_cast<int64_t>(k) * kTileRows + r] : a[r * a_row + k]);
      for (int v = 0; v < V; v++) sum[r][v] = fma(x, column[v], sum[r][v]);
    }
  }
  for (int r = 0; r < R; r++) {
    for (int v = 0; v < V; v++) sum[r][v].store(c + r * ldc + 16 * v);
  }
}

template <int R, int V, bool Packed>
inline void gemm_rows(int rows, float* c, int64_t ldc, const float* a, int64_t a_row, const float* b, int32_t depth,
                      const float* bias, bool load) {
  if constexpr (R > 1) {
    if (rows < R) return gemm_rows<R - 1, V, Packed>(rows, c, ldc, a, a_row, b, depth, bias, load);
  }
  gemm_tile<R, V, Packed>(c, ldc, a, a_row, b, depth, bias, load);
}

// All rows of C against one packed panel of V vectors, of which `columns` columns are real.
template <int V, bool Packed>
void gemm_panel(const Gemm& g, float* c, const float* a, const float* b, int32_t columns, int32_t depth, const float* bias,
                bool load) {
  const bool whole = columns == 16 * V;
  float edge[kTileRows * 16 * V], edge_bias[16 * V];
  if (!whole && bias != nullptr) {
    for (int i = 0; i < 16 * V; i++) edge_bias[i] = i < columns ? bias[i] : 0.0f;
  }
  for (int32_t r = 0; r < g.m; r += kTileRows) {
    const int rows = g.m - r < kTileRows ? g.m - r : kTileRows;
    const float* rows_of_a = Packed ? a + static_cast<int64_t>(r) * depth : a + r * g.a_row;
    float* rows_of_c = c + r * g.ldc;
    if (whole) {
      gemm_rows<kTileRows, V, Packed>(rows, rows_of_c, g.ldc, rows_of_a, g.a_row, b, depth, bias, load);
      continue;
    }
    if (load) {
      for (int i = 0; i < rows; i++) {
        for (int j = 0; j < 16 * V; j++) edge[i * 16 * V + j] = j < columns ? rows_of_c[i * g.ldc + j] : 0.0f;
      }
    }
    gemm_rows<kTileRows, V, Packed>(rows, edge, 16 * V, rows_of_a, g.a_row, b, depth, bias != nullptr ? edge_bias : nullptr, load);
    for (int i = 0; i < rows; i++) std::memcpy(rows_of_c + i * g.ldc, edge + i * 16 * V, static_cast<size_t>(columns) * 4);
  }
}

// B(k, n) for `depth` rows and `columns` of V vectors' columns, the rest zero: panel[k, 16 V].
template <int V>
void gemm_pack(float* panel, const float* b, int64_t b_k, int64_t b_n, int32_t depth, int32_t columns) {
  constexpr int width = 16 * V;
  if (b_n == 1) {
    for (int32_t k = 0; k < depth; k++) {
      const float* from = b + k * b_k;
      float* to = panel + static_cast<int64_t>(k) * width;
      if (columns == width) {
        for (int v = 0; v < V; v++) Vec::load(from + 16 * v).store(to + 16 * v);
      } else {
        for (int n = 0; n < width; n++) to[n] = n < columns ? from[n] : 0.0f;
      }
    }
    return;
  }
  // Rows of B's transpose are contiguous: eight of them at a time keep both sides within few cache lines.
  for (int32_t n0 = 0; n0 < width; n0 += 8) {
    if (n0 + 8 <= columns) {
      const float* from = b + n0 * b_n;
      for (int32_t k = 0; k < depth; k++) {
        float* to = panel + static_cast<int64_t>(k) * width + n0;
        for (int n = 0; n < 8; n++) to[n] = from[n * b_n + k];
      }
      continue;
    }
    for (int32_t k = 0; k < depth; k++) {
      for (int n = n0; n < n0 + 8; n++) panel[static_cast<int64_t>(k) * width + n] = n < columns ? b[n * b_n + k] : 0.0f;
    }
  }
}

template <int V, bool Packed>
void gemm_columns(const Gemm& g, const float* a, int32_t n0, int32_t columns, int32_t k0, int32_t depth, float* panel) {
  gemm_pack<V>(panel, g.b + k0 * g.b_k + n0 * g.b_n, g.b_k, g.b_n, depth, columns);
  gemm_panel<V, Packed>(g, g.c + n0, a, panel, columns, depth, k0 == 0 && g.bias != nullptr ? g.bias + n0 : nullptr,
                        g.add || k0 > 0);
}

template <bool Packed>
void gemm_slice(const Gemm& g, const float* a, int32_t k0, int32_t depth, float* panel) {
  for (int32_t n0 = 0; n0 < g.n; n0 += kPanel) {
    const int32_t columns = g.n - n0 < kPanel ? g.n - n0 : kPanel;
    if constexpr (kPanelVecs == 3) {
      if (columns <= 16) {
        gemm_columns<1, Packed>(g, a, n0, columns, k0, depth, panel);
        continue;
      }
      if (columns <= 32) {
        gemm_columns<2, Packed>(g, a, n0, columns, k0, depth, panel);
        continue;
      }
    }
    gemm_columns<kPanelVecs, Packed>(g, a, n0, columns, k0, depth, panel);
  }
}

int64_t gemm_scratch(int32_t m) {
  return int64_t{kDepth} * kPanel + int64_t{kDepth} * ((m + kTileRows - 1) / kTileRows * kTileRows);
}

void gemm(const Gemm& g) {
  float* panel = g.scratch;
  if (g.k == 0 && !g.add) {
    for (int32_t r = 0; r < g.m; r++) {
      for (int32_t n = 0; n < g.n; n++) g.c[r * g.ldc + n] = g.bias != nullptr ? g.bias[n] : 0.0f;
    }
  }
  for (int32_t k0 = 0; k0 < g.k; k0 += kDepth) {
    const int32_t depth = g.k - k0 < kDepth ? g.k - k0 : kDepth;
    if (g.a_k == 1) {
      gemm_slice<false>(g, g.a + k0, k0, depth, panel);
      continue;
    }
    float* packed = g.scratch + kDepth * kPanel;
    for (int32_t r = 0; r < g.m; r += kTileRows) {
      const float* from = g.a + r + k0 * g.a_k;
      float* to = packed + static_cast<int64_t>(r) * depth;
      const int rows = g.m - r < kTileRows ? g.m - r : kTileRows;
      for (int32_t k = 0; k < depth; k++) {
        if (rows == kTileRows) {
          for (int i = 0; i < kTileRows; i++) to[k * kTileRows + i] = from[k * g.a_k + i];
        } else {
          for (int i = 0; i < kTileRows; i++) to[k * kTileRows + i] = i < rows ? from[k * g.a_k + i] : 0.0f;
        }
      }
    }
    gemm_slice<true>(g, packed, k0, depth, panel);
  }
}
