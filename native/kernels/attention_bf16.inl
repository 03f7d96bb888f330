// The products of attention in bf16 dot instructions, for `fast`: two dimensions (scores) or two tokens (values) to an
// instruction. Keys, values, queries and probabilities are rounded to bf16; maxima, sums and results stay float32.
// Layouts: K[t][dim], Q[dim / 2][width] of pairs over d, V[t / 2][dim] and P[t / 2][width] of pairs over t.

#ifdef GPTOSS_BF16_DOT

template <class L> struct PairsOf { using type = Pairs; };
template <> struct PairsOf<Vec8> { using type = Pairs8; };

// chains() rounded down to a power of two: tokens come in pairs, and all dimensions must be whole numbers of chains.
template <class L, int NV> constexpr int even_chains() {
  return chains<L, NV>() >= 16 ? 16 : chains<L, NV>() >= 8 ? 8 : chains<L, NV>() >= 4 ? 4 : 2;
}

template <class L, int NV, int KT, int DIM> inline void scores_tile_bf16(const uint16_t* k, const uint16_t* q, int32_t head_dim,
                                                                         float* s) {
  const int32_t dim = DIM > 0 ? DIM : head_dim;
  using P = typename PairsOf<L>::type;
  constexpr int32_t n = LaneCount<L>::value;
  L sum[KT][NV];
  for (int t = 0; t < KT; t++) {
    for (int j = 0; j < NV; j++) sum[t][j] = L::zero();
  }
  for (int32_t d = 0; d < dim; d += 2) {
    P lanes[NV];
    for (int j = 0; j < NV; j++) lanes[j] = P::load(q + (d * NV + 2 * j) * n);
    for (int t = 0; t < KT; t++) {
      const P key = P::splat(k + t * dim + d);
      for (int j = 0; j < NV; j++) sum[t][j] = dot(lanes[j], key, sum[t][j]);
    }
  }
  for (int t = 0; t < KT; t++) {
    for (int j = 0; j < NV; j++) sum[t][j].store(s + (t * NV + j) * n);
  }
}

template <class L, int NV, int DT> inline void values_tile_bf16(const uint16_t* v, const uint16_t* p, int32_t dim, int32_t pairs,
                                                                const float* correction, float* a) {
  using P = typename PairsOf<L>::type;
  constexpr int32_t n = LaneCount<L>::value;
  L sum[DT][NV];
  for (int j = 0; j < NV; j++) {
    const L c = L::load(correction + n * j);
    for (int d = 0; d < DT; d++) sum[d][j] = L::load(a + (d * NV + j) * n) * c;
  }
  for (int32_t t = 0; t < pairs; t++) {
    P lanes[NV];
    for (int j = 0; j < NV; j++) lanes[j] = P::load(p + (t * NV + j) * n * 2);
    for (int d = 0; d < DT; d++) {
      const P value = P::splat(v + (t * dim + d) * 2);
      for (int j = 0; j < NV; j++) sum[d][j] = dot(lanes[j], value, sum[d][j]);
    }
  }
  for (int d = 0; d < DT; d++) {
    for (int j = 0; j < NV; j++) sum[d][j].store(a + (d * NV + j) * n);
  }
}

struct Bf16Math {
  static constexpr int32_t kAlign = 2;
  struct Step { const uint16_t *k, *v; };
  static bool fits(const KvLayer& kv) { return kv.head_dim % 32 == 0; }

  // Tokens of [first, end) rounded outwards to pairs; those outside read as zero.
  template <KvType type> static void fill(const KvLayer& kv, const int32_t* pages, int32_t head, StepRange r, uint16_t* k,
                                          uint16_t* v) {
    const int32_t dim = kv.head_dim;
    for (int64_t t = r.first & ~int64_t{1}; t < r.end; t += 2) {
      const bool has0 = t >= r.first, has1 = t + 1 < r.end;
      const uint8_t* k0 = has0 ? token_at(kv, kv.k, pages, head, t) : nullptr;
      const uint8_t* k1 = has1 ? token_at(kv, kv.k, pages, head, t + 1) : nullptr;
      const uint8_t* v0 = has0 ? token_at(kv, kv.v, pages, head, t) : nullptr;
      const uint8_t* v1 = has1 ? token_at(kv, kv.v, pages, head, t + 1) : nullptr;
      uint16_t *k_out = k + (t - r.step) * dim, *v_out = v + (t - r.step) * dim;
      if (has0 && has1) {
        for (int32_t d = 0; d < dim; d += 32) {
          store_bf16(load_kv<type>(k0, dim, d), load_kv<type>(k0, dim, d + 16), k_out + d);
          store_bf16(load_kv<type>(k1, dim, d), load_kv<type>(k1, dim, d + 16), k_out + dim + d);
          store_pairs(load_kv<type>(v0, dim, d), load_kv<type>(v1, dim, d), v_out + 2 * d);
          store_pairs(load_kv<type>(v0, dim, d + 16), load_kv<type>(v1, dim, d + 16), v_out + 2 * d + 32);
        }
        continue;
      }
      const Vec zero = Vec::zero();
      std::memset(has0 ? k_out + dim : k_out, 0, static_cast<size_t>(dim) * 2);
      for (int32_t d = 0; d < dim; d += 32) {
        if (has0) store_bf16(load_kv<type>(k0, dim, d), load_kv<type>(k0, dim, d + 16), k_out + d);
        else store_bf16(load_kv<type>(k1, dim, d), load_kv<type>(k1, dim, d + 16), k_out + dim + d);
      }
      for (int32_t d = 0; d < dim; d += 16) {
        if (has0) store_pairs(load_kv<type>(v0, dim, d), zero, v_out + 2 * d);
        else store_pairs(zero, load_kv<type>(v1, dim, d), v_out + 2 * d);
      }
    }
  }
  static Step prepare(const KvLayer& kv, const int32_t* pages, int32_t head, StepRange r, float* k_space, float* v_space) {
    uint16_t *k = reinterpret_cast<uint16_t*>(k_space), *v = reinterpret_cast<uint16_t*>(v_space);
    if (kv.type == KvType::F32) fill<KvType::F32>(kv, pages, head, r, k, v);
    else if (kv.type == KvType::F16) fill<KvType::F16>(kv, pages, head, r, k, v);
    else fill<KvType::Q8>(kv, pages, head, r, k, v);
    return {k, v};
  }

  static void set_query(float* q, int32_t width, int32_t lane, const float* from, float scale, int32_t dim) {
    uint16_t* out = reinterpret_cast<uint16_t*>(q);
    for (int32_t d = 0; d < dim; d += 32) {
      uint16_t rounded[32] = {};
      if (from != nullptr) store_bf16(Vec::load(from + d) * Vec::set(scale), Vec::load(from + d + 16) * Vec::set(scale), rounded);
      for (int i = 0; i < 32; i += 2) std::memcpy(out + ((d + i) / 2 * width + lane) * 2, rounded + i, 4);
    }
  }

  template <class L, int NV> static void scores_of(const Step& x, StepRange r, const Ahead& ahead, const float* q, int32_t dim,
                                                   float* s) {
    if (dim == 64) scores_with<L, NV, 64>(x, r, ahead, q, dim, s);
    else scores_with<L, NV, 0>(x, r, ahead, q, dim, s);
  }
  template <class L, int NV, int DIM> static void scores_with(const Step& x, StepRange r, const Ahead& ahead, const float* q,
                                                              int32_t dim, float* s) {
    constexpr int KT = even_chains<L, NV>(), width = LaneCount<L>::value * NV;
    const uint16_t *queries = reinterpret_cast<const uint16_t*>(q), *k = x.k + (r.first - r.step) * dim;
    const int32_t count = static_cast<int32_t>(r.end - r.first);  // even
    int32_t t = 0;
    for (; t + KT <= count; t += KT) {
      ahead.fetch(ahead.k, t, KT);
      scores_tile_bf16<L, NV, KT, DIM>(k + t * dim, queries, dim, s + t * width);
    }
    for (; t + 2 <= count; t += 2) scores_tile_bf16<L, NV, 2, DIM>(k + t * dim, queries, dim, s + t * width);
  }

  // e^(s - m) as pairs over t, over the scores themselves; their sums in float32.
  template <class L, int NV> static void pair_step(float* s, int32_t count, const float* m, float* l, const float* correction,
                                                   const Ahead& ahead) {
    uint16_t* p = reinterpret_cast<uint16_t*>(s);
    if constexpr (LaneCount<L>::value == 8) {
      float twice[16];
      std::memcpy(twice, m, 32);
      std::memcpy(twice + 8, m, 32);
      const Vec most = Vec::load(twice);
      Vec sum = Vec::zero();
      for (int32_t t = 0; t < count; t += 2) {
        ahead.fetch(ahead.v, t, 2);
        const Vec both = vexp(Vec::load(s + t * 8) - most);
        sum = sum + both;
        store_pairs8(both, p + t * 8);
      }
      sum.store(twice);
      (L::load(l) * L::load(correction) + L::load(twice) + L::load(twice + 8)).store(l);
    } else {
      for (int j = 0; j < NV; j++) {
        const Vec most = Vec::load(m + 16 * j);
        Vec sum = Vec::load(l + 16 * j) * Vec::load(correction + 16 * j);
        for (int32_t t = 0; t < count; t += 2) {
          // Pair t / 2 goes where the scores of token t / 2 were: those are read by then.
          if (j == 0) ahead.fetch(ahead.v, t, 2);
          const Vec p0 = vexp(Vec::load(s + (t * NV + j) * 16) - most);
          const Vec p1 = vexp(Vec::load(s + ((t + 1) * NV + j) * 16) - most);
          sum = sum + p0 + p1;
          store_pairs(p0, p1, p + (t / 2 * NV + j) * 32);
        }
        sum.store(l + 16 * j);
      }
    }
  }

  template <class L, int NV> static void values_of(const Step& x, StepRange r, const Ahead& ahead, float* s,
                                                   const TileState& st, int32_t dim) {
    constexpr int DT = even_chains<L, NV>(), n = LaneCount<L>::value, width = n * NV;
    const int32_t count = static_cast<int32_t>(r.end - r.first), pairs = count / 2;
    alignas(64) float correction[width];
    new_maximum<L, NV>(s, count, st.m, correction);
    pair_step<L, NV>(s, count, st.m, st.l, correction, ahead);
    const uint16_t *v = x.v + (r.first - r.step) * dim, *p = reinterpret_cast<const uint16_t*>(s);
    for (int32_t d = 0; d < dim; d += DT) values_tile_bf16<L, NV, DT>(v + 2 * d, p, dim, pairs, correction, st.a + d * width);
  }
};

#endif
