// The mixture of experts: moe_up (gate and up matmuls fused with the clamped SwiGLU) and moe_down (down matmul, weighted
// sum into the residual). The step's (row, slot) pairs, p = row * k + slot, are sorted by expert, so that each expert's
// weights are read and decoded once per step. Next: rowdot.inl (float), int8_*.h (fast).

void moe_up_float(Worker& w, const MoeUpArgs& a) {
  const Matrix& m = *a.gate;
  const int32_t pairs = a.rows * a.k, inner = m.rows;
  const MoePlan plan = moe_plan_at(a.scratch, pairs);
  RowdotScratch& s = *reinterpret_cast<RowdotScratch*>(w.local);
  float* gates = reinterpret_cast<float*>(w.local + sizeof(RowdotScratch));
  if (w.id == 0) moe_plan(plan, a.ids, pairs, m.experts, kItemTokens, kItemTokens, reinterpret_cast<int32_t*>(gates));
  w.barrier();
  const int32_t row_tiles = tiles_of(inner, kTileRows);
  w.chunks(static_cast<int64_t>(plan.counts[0]) * row_tiles, [&](int64_t i) {
    const MoeItem& item = plan.items[i / row_tiles];
    const int32_t row0 = static_cast<int32_t>(i % row_tiles) * kTileRows;
    const int32_t rows = inner - row0 < kTileRows ? inner - row0 : kTileRows;
    for (int32_t t = 0; t < item.count; t++) {
      s.x[t] = a.x + static_cast<int64_t>(plan.order[item.first + t] / a.k) * m.cols;
    }
    rowdot_item(s, *a.gate, item.expert, row0, rows, item.count);
    std::memcpy(gates, s.sums, sizeof(s.sums));
    rowdot_item(s, *a.up, item.expert, row0, rows, item.count);
    const int64_t bias = static_cast<int64_t>(item.expert) * inner + row0;
    for (int32_t t = 0; t < item.count; t++) {
      float g[kTileRows] = {}, u[kTileRows] = {};
      for (int32_t r = 0; r < rows; r++) {
        g[r] = gates[t * kTileRows + r] + a.gate_bias[bias + r];
        u[r] = s.sums[t * kTileRows + r] + a.up_bias[bias + r];
      }
      swiglu(Vec::load(g), Vec::load(u), a.alpha, a.limit).store(g);
      float* h = a.h + static_cast<int64_t>(plan.order[item.first + t]) * inner + row0;
      for (int32_t r = 0; r < rows; r++) h[r] = g[r];
    }
  });
}

// Every pair's product goes to scratch first; then each row adds its k products in order.
void moe_down_float(Worker& w, const MoeDownArgs& a) {
  const Matrix& m = *a.down;
  const int32_t pairs = a.rows * a.k, width = m.rows;
  const MoePlan plan = moe_plan_at(a.scratch, pairs);
  float* products = reinterpret_cast<float*>(a.scratch + moe_plan_bytes(pairs, m.experts, kItemTokens));
  RowdotScratch& s = *reinterpret_cast<RowdotScratch*>(w.local);
  if (w.id == 0) {
    moe_plan(plan, a.ids, pairs, m.experts, kItemTokens, kItemTokens, reinterpret_cast<int32_t*>(w.local + sizeof(RowdotScratch)));
  }
  w.barrier();
  const int32_t row_tiles = tiles_of(width, kTileRows);
  w.chunks(static_cast<int64_t>(plan.counts[0]) * row_tiles, [&](int64_t i) {
    const MoeItem& item = plan.items[i / row_tiles];
    const int32_t row0 = static_cast<int32_t>(i % row_tiles) * kTileRows;
    const int32_t rows = width - row0 < kTileRows ? width - row0 : kTileRows;
    for (int32_t t = 0; t < item.count; t++) s.x[t] = a.h + static_cast<int64_t>(plan.order[item.first + t]) * m.cols;
    rowdot_item(s, m, item.expert, row0, rows, item.count);
    const float* bias = a.bias + static_cast<int64_t>(item.expert) * width + row0;
    for (int32_t t = 0; t < item.count; t++) {
      float* out = products + static_cast<int64_t>(plan.order[item.first + t]) * width + row0;
      for (int32_t r = 0; r < rows; r++) out[r] = s.sums[t * kTileRows + r] + bias[r];
    }
  });
  const int32_t pieces = tiles_of(width, 256);
  w.chunks(static_cast<int64_t>(a.rows) * pieces, [&](int64_t i) {
    const int64_t row = i / pieces;
    const int32_t c0 = static_cast<int32_t>(i % pieces) * 256, c1 = c0 + 256 < width ? c0 + 256 : width;
    float* y = a.y + row * width;
    for (int32_t c = c0; c < c1; c++) {
      float sum = 0;
      for (int32_t j = 0; j < a.k; j++) sum += a.gates[row * a.k + j] * products[(row * a.k + j) * width + c];
      y[c] += sum;
    }
  });
}

void moe_up(Worker& w, const MoeUpArgs& a) {
  if (a.exact || !int8_moe_up(w, a)) moe_up_float(w, a);
}
void moe_down(Worker& w, const MoeDownArgs& a) {
  if (a.exact || !int8_moe_down(w, a)) moe_down_float(w, a);
}

size_t moe_up_scratch(const Matrix& gate, int32_t rows, int32_t k, bool exact) {
  const size_t bytes = exact ? 0 : int8_moe_scratch(gate, rows, k), floats = moe_plan_bytes(rows * k, gate.experts, kItemTokens);
  return bytes > floats ? bytes : floats;
}
size_t moe_down_scratch(const Matrix& down, int32_t rows, int32_t k, bool exact) {
  const size_t bytes = exact ? 0 : int8_moe_scratch(down, rows, k);
  if (bytes > 0) return bytes;
  return moe_plan_bytes(rows * k, down.experts, kItemTokens) + static_cast<size_t>(rows) * k * down.rows * sizeof(float);
}
