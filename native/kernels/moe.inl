// The mixture of experts: moe_up (gate and up matmuls fused with the clamped SwiGLU) and moe_down (down matmul, weighted
// sum into the residual). The step's (row, slot) pairs, p = row * k + slot, are sorted by expert, so that each expert's
// weights are read and decoded once per step. Next: rowdot.inl (float), int8_*.h (fast).

// Pairs sorted by expert, cut into items of at most `item` pairs of one expert.
struct MoeItem { int32_t expert, first, count; };  // pairs order[first … first + count)
struct MoePlan {
  int32_t* order;   // [pairs], stable within an expert
  MoeItem* items;
  int32_t* counts;  // [0]: number of items
};

inline size_t moe_plan_bytes(int32_t pairs, int32_t experts, int32_t item) {
  return (static_cast<size_t>(pairs) * 4 + (static_cast<size_t>(pairs / item) + experts) * sizeof(MoeItem) + 64 + 63) & ~size_t{63};
}
inline MoePlan moe_plan_at(uint8_t* scratch, int32_t pairs) {
  MoePlan p;
  p.counts = reinterpret_cast<int32_t*>(scratch);
  p.order = p.counts + 16;
  p.items = reinterpret_cast<MoeItem*>(p.order + pairs);
  return p;
}

// Counting sort; `starts` needs experts + 1 entries.
inline void moe_plan(const MoePlan& p, const int32_t* ids, int32_t pairs, int32_t experts, int32_t item, int32_t* starts) {
  for (int32_t e = 0; e <= experts; e++) starts[e] = 0;
  for (int32_t i = 0; i < pairs; i++) starts[ids[i] + 1]++;
  for (int32_t e = 0; e < experts; e++) starts[e + 1] += starts[e];
  int32_t n = 0;
  for (int32_t e = 0; e < experts; e++)
    for (int32_t first = starts[e]; first < starts[e + 1]; first += item) {
      const int32_t left = starts[e + 1] - first;
      p.items[n++] = {e, first, left < item ? left : item};
    }
  for (int32_t i = 0; i < pairs; i++) p.order[starts[ids[i]]++] = i;
  p.counts[0] = n;
}

// exp by 2^n · polynomial on [-ln2/2, ln2/2]; about 1 ulp in the range that sigmoid needs.
inline Vec moe_exp(Vec x) {
  x = vmin(vmax(x, Vec::set(-87.0f)), Vec::set(87.0f));
  const Vec n = vround(x * Vec::set(1.44269504088896341f));
  Vec r = fma(n, Vec::set(-0.693145751953125f), x);
  r = fma(n, Vec::set(-1.42860682030941723212e-6f), r);
  Vec p = Vec::set(1.9875691500e-4f);
  p = fma(p, r, Vec::set(1.3981999507e-3f));
  p = fma(p, r, Vec::set(8.3334519073e-3f));
  p = fma(p, r, Vec::set(4.1665795894e-2f));
  p = fma(p, r, Vec::set(1.6666665459e-1f));
  p = fma(p, r, Vec::set(5.0000001201e-1f));
  p = fma(p, r * r, r) + Vec::set(1.0f);
  return vscale2(p, n);
}

// g' = min(g, limit); u' = clamp(u); g' · sigmoid(alpha g') · (u' + 1), 16 values at a time.
inline Vec swiglu(Vec g, Vec u, float alpha, float limit) {
  g = vmin(g, Vec::set(limit));
  u = vmax(vmin(u, Vec::set(limit)), Vec::set(-limit));
  const Vec one = Vec::set(1.0f);
  return vdivide(g, one + moe_exp(g * Vec::set(-alpha))) * (u + one);
}

void moe_up_float(Worker& w, const MoeUpArgs& a) {
  const Matrix& m = *a.gate;
  const int32_t pairs = a.rows * a.k, inner = m.rows;
  const MoePlan plan = moe_plan_at(a.scratch, pairs);
  RowdotScratch& s = *reinterpret_cast<RowdotScratch*>(w.local);
  float* gates = reinterpret_cast<float*>(w.local + sizeof(RowdotScratch));
  if (w.id == 0) moe_plan(plan, a.ids, pairs, m.experts, kItemTokens, reinterpret_cast<int32_t*>(gates));
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
    moe_plan(plan, a.ids, pairs, m.experts, kItemTokens, reinterpret_cast<int32_t*>(w.local + sizeof(RowdotScratch)));
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

void moe_up(Worker& w, const MoeUpArgs& a) { moe_up_float(w, a); }
void moe_down(Worker& w, const MoeDownArgs& a) { moe_down_float(w, a); }

size_t moe_up_scratch(const Matrix& gate, int32_t rows, int32_t k, bool) {
  return moe_plan_bytes(rows * k, gate.experts, kItemTokens);
}
size_t moe_down_scratch(const Matrix& down, int32_t rows, int32_t k, bool) {
  return moe_plan_bytes(rows * k, down.experts, kItemTokens) + static_cast<size_t>(rows) * k * down.rows * sizeof(float);
}
