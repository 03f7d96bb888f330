// The step's (row, slot) pairs, p = row * k + slot, sorted by expert, those of a range of experts cut into items of at most `item` pairs of one
// expert: an item's weights are read and decoded once. And the SwiGLU of the expert
// layers. Next: moe.inl, int8.inl.

struct MoeItem {
  int32_t expert, first, count;  // pairs order[first … first + count)
  int32_t slot;                  // of its first activation slot (`item` pairs may need several of `per_slot` pairs)
};
struct MoePlan {
  int32_t* counts;  // [0]: number of items
  int32_t* order;   // [pairs], ascending within an expert
  MoeItem* items;
};

inline size_t moe_plan_bytes(int32_t pairs, int32_t experts, int32_t item) {
  return (64 + static_cast<size_t>(pairs) * 4 + (static_cast<size_t>(pairs / item) + experts) * sizeof(MoeItem) + 63) & ~size_t{63};
}
inline MoePlan moe_plan_at(uint8_t* scratch, int32_t pairs) {
  MoePlan p;
  p.counts = reinterpret_cast<int32_t*>(scratch);
  p.order = p.counts + 16;
  p.items = reinterpret_cast<MoeItem*>(p.order + pairs);
  return p;
}

// Counting sort; `starts` has room for experts + 1 entries.
inline void moe_plan(const MoePlan& p, const int32_t* ids, int32_t pairs, int32_t experts, Experts range, int32_t item, int32_t per_slot,
                     int32_t* starts) {
  for (int32_t e = 0; e <= experts; e++) starts[e] = 0;
  for (int32_t i = 0; i < pairs; i++) starts[ids[i] + 1]++;
  for (int32_t e = 0; e < experts; e++) starts[e + 1] += starts[e];
  int32_t n = 0, slot = 0;
  for (int32_t e = range.first; e < range.end; e++)
    for (int32_t first = starts[e]; first < starts[e + 1]; first += item) {
      const int32_t left = starts[e + 1] - first, count = left < item ? left : item;
      p.items[n++] = {e, first, count, slot};
      slot += (count + per_slot - 1) / per_slot;
    }
  for (int32_t i = 0; i < pairs; i++) p.order[starts[ids[i]]++] = i;
  p.counts[0] = n;
}

// g' = min(g, limit); u' = clamp(u); g' · sigmoid(alpha g') · (u' + 1), 16 values at a time.
inline Vec swiglu(Vec g, Vec u, float alpha, float limit) {
  g = vmin(g, Vec::set(limit));
  u = vmax(vmin(u, Vec::set(limit)), Vec::set(-limit));
  const Vec one = Vec::set(1.0f);
  return vdivide(g, one + vexp(g * Vec::set(-alpha))) * (u + one);
}

// The same on `rows` outputs of one expert from row0 on, with the biases.
inline void swiglu_rows(const MoeUpArgs& a, const float* gate, const float* up, int32_t expert, int32_t row0, int32_t rows, float* h) {
  const int64_t bias = static_cast<int64_t>(expert) * a.gate->rows + row0;
  for (int32_t r = 0; r < rows; r += 16) {
    const int32_t n = rows - r < 16 ? rows - r : 16;
    if (n == 16) {
      swiglu(Vec::load(gate + r) + Vec::load(a.gate_bias + bias + r), Vec::load(up + r) + Vec::load(a.up_bias + bias + r), a.alpha, a.limit)
          .store(h + r);
      continue;
    }
    float g[16] = {}, u[16] = {};
    for (int32_t i = 0; i < n; i++) {
      g[i] = gate[r + i] + a.gate_bias[bias + r + i];
      u[i] = up[r + i] + a.up_bias[bias + r + i];
    }
    swiglu(Vec::load(g), Vec::load(u), a.alpha, a.limit).store(g);
    for (int32_t i = 0; i < n; i++) h[r + i] = g[i];
  }
}
