// The mixture of experts: moe_up (gate and up matmuls fused with the clamped SwiGLU) and moe_down (down matmul, weighted
// sum into the residual). The step's pairs are sorted by expert (moe_plan.inl), so that each expert's weights are read and
// decoded once per step. Here with float dot products; int8.inl for `fast` with quantised types.

template <class E>
inline void moe_up_float(Worker& w, const MoeUpArgs& a) {
  const Matrix& m = *a.gate;
  const int32_t pairs = a.rows * a.k, inner = m.rows;
  const MoePlan plan = moe_plan_at(a.scratch, pairs);
  using Stored = typename E::Stored;
  Stored* stored = reinterpret_cast<Stored*>(a.scratch + moe_plan_bytes(pairs, m.experts, kItemTokens));
  RowdotScratch<E>& s = *reinterpret_cast<RowdotScratch<E>*>(w.local);
  float* gates = reinterpret_cast<float*>(w.local + sizeof(RowdotScratch<E>));
  if (w.id == 0) moe_plan(plan, a.ids, pairs, m.experts, a.experts, kItemTokens, kItemTokens, reinterpret_cast<int32_t*>(gates));
  w.barrier();
  if (sizeof(Stored) != 4) store_rows<E>(w, a.x, a.rows, m.cols, stored);
  const int32_t row_tiles = tiles_of(inner, kTileRows), items = plan.counts[0];
  chunks_ahead(w, static_cast<int64_t>(items) * row_tiles, [&](int64_t i, int64_t ahead) {
    const MoeItem& item = plan.items[i / row_tiles];
    const int32_t row0 = static_cast<int32_t>(i % row_tiles) * kTileRows;
    const int32_t rows = inner - row0 < kTileRows ? inner - row0 : kTileRows;
    const uint8_t* next = row_bytes(m, plan.items[ahead / row_tiles % items].expert, static_cast<int32_t>(ahead % row_tiles) * kTileRows);
    auto row_of = [&](int32_t t) { return plan.order[item.first + t] / a.k; };
    float_item<E>(s, *a.gate, item.expert, row0, rows, item.count, a.x, stored, row_bytes(*a.up, item.expert, row0), row_of);
    std::memcpy(gates, s.sums, sizeof(s.sums));
    float_item<E>(s, *a.up, item.expert, row0, rows, item.count, a.x, stored, next, row_of);
    for (int32_t t = 0; t < item.count; t++) {
      swiglu_rows(a, gates + t * kTileRows, s.sums + t * kTileRows, item.expert, row0, rows,
                  a.h + static_cast<int64_t>(plan.order[item.first + t]) * inner + row0);
    }
  });
}

// Every pair's product goes to scratch first; then each row adds its k products in order.
template <class E>
inline void moe_down_float(Worker& w, const MoeDownArgs& a) {
  const Matrix& m = *a.down;
  const int32_t pairs = a.rows * a.k, width = m.rows;
  const MoePlan plan = moe_plan_at(a.scratch, pairs);
  float* products = reinterpret_cast<float*>(a.scratch + moe_plan_bytes(pairs, m.experts, kItemTokens));
  using Stored = typename E::Stored;
  Stored* stored = reinterpret_cast<Stored*>(products + static_cast<size_t>(pairs) * width);
  RowdotScratch<E>& s = *reinterpret_cast<RowdotScratch<E>*>(w.local);
  if (w.id == 0) {
    moe_plan(plan, a.ids, pairs, m.experts, a.experts, kItemTokens, kItemTokens, reinterpret_cast<int32_t*>(w.local + sizeof(RowdotScratch<E>)));
  }
  w.barrier();
  if (sizeof(Stored) != 4) store_rows<E>(w, a.h, pairs, m.cols, stored);
  const int32_t row_tiles = tiles_of(width, kTileRows), items = plan.counts[0];
  chunks_ahead(w, static_cast<int64_t>(items) * row_tiles, [&](int64_t i, int64_t ahead) {
    const MoeItem& item = plan.items[i / row_tiles];
    const int32_t row0 = static_cast<int32_t>(i % row_tiles) * kTileRows;
    const int32_t rows = width - row0 < kTileRows ? width - row0 : kTileRows;
    const uint8_t* next = row_bytes(m, plan.items[ahead / row_tiles % items].expert, static_cast<int32_t>(ahead % row_tiles) * kTileRows);
    float_item<E>(s, m, item.expert, row0, rows, item.count, a.h, stored, next, [&](int32_t t) { return plan.order[item.first + t]; });
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
  if (a.exact) return moe_up_float<Floats>(w, a);
  if (!int8_moe_up(w, a)) moe_up_float<FastFloats>(w, a);
}
void moe_down(Worker& w, const MoeDownArgs& a) {
  if (a.exact) return moe_down_float<Floats>(w, a);
  if (!int8_moe_down(w, a)) moe_down_float<FastFloats>(w, a);
}

bool moe_down_in_parts(const Matrix& down, bool exact) { return !exact && int8_down_in_parts(down); }

size_t moe_up_scratch(const Matrix& gate, int32_t rows, int32_t k, bool exact) {
  const size_t bytes = exact ? 0 : int8_moe_scratch(gate, rows, k);
  const size_t floats = moe_plan_bytes(rows * k, gate.experts, kItemTokens) + (exact ? 0 : stored_bytes<FastFloats>(rows, gate.cols));
  return bytes > floats ? bytes : floats;
}
size_t moe_down_scratch(const Matrix& down, int32_t rows, int32_t k, bool exact) {
  const size_t bytes = exact ? 0 : int8_moe_scratch(down, rows, k);
  if (bytes > 0 && int8_form(down).served) return bytes;
  const size_t floats = moe_plan_bytes(rows * k, down.experts, kItemTokens) + static_cast<size_t>(rows) * k * down.rows * sizeof(float) +
                        (exact ? 0 : stored_bytes<FastFloats>(rows * k, down.cols));
  return bytes > floats ? bytes : floats;
}
