// The products of attention on AMX tiles, for `fast` where many queries meet each key: the layouts of attention_bf16.inl are
// those that tiles want, but for the values, which are turned once for each step of keys.
//   S[t][q]: A = K[t][d], B = Q[d / 2][q] in pairs over d          16 tokens × 32 dimensions × 16 queries to an instruction
//   A[d][q]: A = V turned, [d][t], B = P[t / 2][q] in pairs over t
// A step is always worked on whole: tokens that a query may not see are masked, those that are not there have values of zero. What
// is left is mostly the exponentials. Next: gemm_amx.inl.

// Tiles 0 to 3 are sums, 4 left operands, 5 to 7 right ones: `columns` queries wide.
template <int32_t columns> struct AttentionShapes {
  alignas(64) static constexpr uint8_t value[64] = {
      1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      4 * columns, 0, 4 * columns, 0, 4 * columns, 0, 4 * columns, 0, 64, 0, 4 * columns, 0, 4 * columns, 0, 4 * columns, 0,
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      16, 16, 16, 16, 16, 16, 16, 16};
};

// 16 rows of 16 dwords, `from` dwords apart, become columns.
inline void turn16(const uint32_t* in, int64_t from, uint32_t* out, int64_t to) {
  __m512i r[16], x[16];
  for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_si512(in + i * from);
  for (int i = 0; i < 16; i += 2) {
    x[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    x[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {  // r[i + c]: column c of each 128-bit lane, of four rows
    r[i] = _mm512_unpacklo_epi64(x[i], x[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(x[i], x[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(x[i + 1], x[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(x[i + 1], x[i + 3]);
  }
  for (int c = 0; c < 4; c++) {  // lanes (= columns c, 4 + c, 8 + c, 12 + c) of the four groups of rows
    const __m512i a = _mm512_shuffle_i32x4(r[c], r[4 + c], 0x44), b = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0x44);
    const __m512i d = _mm512_shuffle_i32x4(r[c], r[4 + c], 0xee), e = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0xee);
    _mm512_storeu_si512(out + c * to, _mm512_shuffle_i32x4(a, b, 0x88));
    _mm512_storeu_si512(out + (4 + c) * to, _mm512_shuffle_i32x4(a, b, 0xdd));
    _mm512_storeu_si512(out + (8 + c) * to, _mm512_shuffle_i32x4(d, e, 0x88));
    _mm512_storeu_si512(out + (12 + c) * to, _mm512_shuffle_i32x4(d, e, 0xdd));
  }
}

struct AmxMath : Bf16Math {
  static constexpr int32_t kAlign = kStep;
  static constexpr int32_t kLeastRows = 8;  // fewer are faster without tiles

  // V is [dim][kStep]. The space for values has room for both of its forms.
  static Step prepare(const KvLayer& kv, const int32_t* pages, int32_t head, StepRange r, float* k_space, float* v_space) {
    const int32_t dim = kv.head_dim;
    uint16_t *pairs = reinterpret_cast<uint16_t*>(v_space), *turned = pairs + kStep * dim;
    if (r.first != r.step || r.end != r.step + kStep) std::memset(pairs, 0, static_cast<size_t>(kStep) * dim * 2);
    const Step step = Bf16Math::prepare(kv, pages, head, r, k_space, v_space);
    const uint32_t* in = reinterpret_cast<const uint32_t*>(pairs);
    uint32_t* out = reinterpret_cast<uint32_t*>(turned);
    for (int32_t t = 0; t < kStep / 2; t += 16)
      for (int32_t d = 0; d < dim; d += 16) turn16(in + t * dim + d, dim, out + d * (kStep / 2) + t, kStep / 2);
    return {step.k, turned};
  }

  template <class L, int NV> static void scores_of(const Step& x, StepRange, const Ahead& ahead, const float* q, int32_t dim, float* s) {
    constexpr int32_t n = LaneCount<L>::value;
    constexpr int64_t stride = int64_t{NV} * n * 4;  // bytes, of queries and of scores
    const uint8_t* const queries = reinterpret_cast<const uint8_t*>(q);
    _tile_loadconfig(AttentionShapes<n>::value);
    __asm__ volatile("" : : : "memory");  // tile loads are not known to the compiler as reads
    for (int32_t t = 0; t < kStep; t += 16) {
      ahead.fetch(ahead.k, t, 16);
      _tile_zero(0);
      if (NV > 1) _tile_zero(1);
      if (NV > 2) _tile_zero(2);
      for (int32_t d = 0; d < dim; d += 32) {
        const uint8_t* at = queries + d / 2 * stride;
        _tile_loadd(4, x.k + t * dim + d, dim * 2);
        _tile_loadd(5, at, stride);
        _tile_dpbf16ps(0, 4, 5);
        if (NV > 1) _tile_loadd(6, at + 64, stride);
        if (NV > 1) _tile_dpbf16ps(1, 4, 6);
        if (NV > 2) _tile_loadd(7, at + 128, stride);
        if (NV > 2) _tile_dpbf16ps(2, 4, 7);
      }
      float* to = s + t * NV * n;
      _tile_stored(0, to, stride);
      if (NV > 1) _tile_stored(1, to + 16, stride);
      if (NV > 2) _tile_stored(2, to + 32, stride);
    }
    _tile_release();
  }

  template <class L, int NV> static void values_of(const Step& x, StepRange, const Ahead& ahead, float* s, const TileState& st, int32_t dim) {
    constexpr int32_t n = LaneCount<L>::value, width = n * NV;
    constexpr int64_t stride = int64_t{width} * 4;  // bytes, of probabilities in pairs and of sums
    alignas(64) float correction[width];
    new_maximum<L, NV>(s, kStep, st.m, correction);
    pair_step<L, NV>(s, kStep, st.m, st.l, correction, ahead);
    rescale<L, NV>(correction, st.a, dim);
    const uint8_t* const p = reinterpret_cast<const uint8_t*>(s);
    _tile_loadconfig(AttentionShapes<n>::value);
    __asm__ volatile("" : : : "memory");
    for (int32_t d = 0; d < dim; d += 16) {
      float* sums = st.a + d * width;
      _tile_loadd(0, sums, stride);
      if (NV > 1) _tile_loadd(1, sums + 16, stride);
      if (NV > 2) _tile_loadd(2, sums + 32, stride);
      for (int32_t t = 0; t < kStep; t += 32) {
        const uint8_t* at = p + t / 2 * stride;
        _tile_loadd(4, x.v + d * kStep + t, kStep * 2);
        _tile_loadd(5, at, stride);
        _tile_dpbf16ps(0, 4, 5);
        if (NV > 1) _tile_loadd(6, at + 64, stride);
        if (NV > 1) _tile_dpbf16ps(1, 4, 6);
        if (NV > 2) _tile_loadd(7, at + 128, stride);
        if (NV > 2) _tile_dpbf16ps(2, 4, 7);
      }
      _tile_stored(0, sums, stride);
      if (NV > 1) _tile_stored(1, sums + 16, stride);
      if (NV > 2) _tile_stored(2, sums + 32, stride);
    }
    _tile_release();
  }

  // Sums over an old maximum, where it changed in any lane.
  template <class L, int NV> static void rescale(const float* correction, float* a, int32_t dim) {
    constexpr int32_t n = LaneCount<L>::value;
    bool changed = false;
    for (int32_t i = 0; i < n * NV; i++) changed = changed || correction[i] != 1.0f;
    if (!changed) return;
    for (int j = 0; j < NV; j++) {
      const L c = L::load(correction + n * j);
      for (int32_t d = 0; d < dim; d++) (L::load(a + (d * NV + j) * n) * c).store(a + (d * NV + j) * n);
    }
  }
};
