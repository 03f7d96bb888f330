// Arithmetic of attention on one tile: queries are lanes, one step of keys at a time (attention.inl says how they are
// chosen). A tile's width is 8 lanes (Vec8) or 16 to 16 · kTileVecs (Vec); [t][width] and so on are contiguous floats.
//   S[t][q] = Σ_d K[t][d] · Q[d][q]        one chain of fused multiply-adds over d, ascending
//   A[d][q] = Σ_t V[t][d] · P[t][q]        one chain over t, ascending
// Nothing depends on the width of the tile or on which lanes are in it. Next: attention_bf16.inl (the same in bf16).

constexpr int32_t kStep = 64;  // positions
constexpr int32_t kTileVecs = kVecAccumulators >= 24 ? 3 : 2;
constexpr int32_t kTileQueries = 16 * kTileVecs;
constexpr float kNoMaximum = -1e30f, kMasked = -3e38f;

template <class L> struct LaneCount { static constexpr int32_t value = 16; };
template <> struct LaneCount<Vec8> { static constexpr int32_t value = 8; };

// How many chains a loop keeps in registers for each of its NV vectors of lanes.
template <class L, int NV> constexpr int chains() {
  if (LaneCount<L>::value == 8) return kVecAccumulators >= 24 ? 16 : 8;
  return kVecAccumulators / NV < 8 ? kVecAccumulators / NV : 8;
}

// Calls fn with a lane type and a number of vectors that make up the width.
template <class F> inline void with_lanes(int32_t width, F fn) {
  if (width == 8) fn.template operator()<Vec8, 1>();
  else if (width == 16) fn.template operator()<Vec, 1>();
  else if (width == 32) fn.template operator()<Vec, 2>();
  else fn.template operator()<Vec, kTileVecs>();
}
inline int32_t tile_width(int32_t count) { return count <= 8 ? 8 : (count + 15) / 16 * 16; }

inline Vec8 vexp(Vec8 x) {
  float lanes[16] = {};
  x.store(lanes);
  vexp(Vec::load(lanes)).store(lanes);
  return Vec8::load(lanes);
}

// ---- a step of keys ----

struct StepRange { int64_t step, first, end; };  // positions; the step starts at a multiple of kStep

inline const uint8_t* token_at(const KvLayer& kv, const uint8_t* base, const int32_t* pages, int32_t head, int64_t position) {
  const int64_t page = pages[position / kv.page_tokens], token = position % kv.page_tokens;
  return base + ((page * kv.kv_heads + head) * kv.page_tokens + token) * kv.token_bytes;
}

inline void prefetch_line(const uint8_t* p) {
#if defined(__GNUC__) && defined(__x86_64__)
  asm volatile("prefetcht1 %0" : : "m"(*p));  // g++ 12 removes loops that hold nothing but __builtin_prefetch
#elif defined(__GNUC__) && defined(__aarch64__)
  asm volatile("prfm pldl2keep, %0" : : "Q"(*p));
#elif defined(_M_X64)
  _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T1);
#else
  (void)p;
#endif
}

// Where the tokens after a step lie when they are in one piece, to have them on the way while this step is worked on.
struct Ahead {
  const uint8_t *k = nullptr, *v = nullptr;

  int64_t token_bytes = 0;

  Ahead() = default;
  Ahead(const KvLayer& kv, const int32_t* pages, int32_t head, int64_t next, int64_t end) {
    if (next >= end || kv.page_tokens < kStep) return;
    k = token_at(kv, kv.k, pages, head, next);
    v = token_at(kv, kv.v, pages, head, next);
    token_bytes = kv.token_bytes;
  }
  // The lines of some of the step's tokens.
  void fetch(const uint8_t* base, int64_t token, int64_t count) const {
    if (base == nullptr) return;
    for (int64_t i = 0; i < count * token_bytes; i += 64) prefetch_line(base + token * token_bytes + i);
  }
};

// ---- the two products ----

// DIM is the head size when it is known (the published models' 64): the rows of keys then need one register, not many.
template <class L, int NV, int KT, int DIM> inline void scores_tile(const float* k, const float* q, int32_t head_dim, float* s) {
  constexpr int32_t n = LaneCount<L>::value;
  const int32_t dim = DIM > 0 ? DIM : head_dim;
  L sum[KT][NV];
  for (int t = 0; t < KT; t++) {
    for (int j = 0; j < NV; j++) sum[t][j] = L::zero();
  }
  for (int32_t d = 0; d < dim; d++) {
    L lanes[NV];
    for (int j = 0; j < NV; j++) lanes[j] = L::load(q + (d * NV + j) * n);
    for (int t = 0; t < KT; t++) {
      const L key = L::set(k[t * dim + d]);
      for (int j = 0; j < NV; j++) sum[t][j] = fma(lanes[j], key, sum[t][j]);
    }
  }
  for (int t = 0; t < KT; t++) {
    for (int j = 0; j < NV; j++) sum[t][j].store(s + (t * NV + j) * n);
  }
}

template <class L, int NV, int DIM> inline void scores(const float* k, const float* q, int32_t dim, float* s, int32_t count,
                                                       const Ahead& ahead) {
  constexpr int KT = chains<L, NV>(), width = LaneCount<L>::value * NV;
  int32_t t = 0;
  for (; t + KT <= count; t += KT) {
    ahead.fetch(ahead.k, t, KT);
    scores_tile<L, NV, KT, DIM>(k + t * dim, q, dim, s + t * width);
  }
  for (; KT > 4 && t + 4 <= count; t += 4) scores_tile<L, NV, 4, DIM>(k + t * dim, q, dim, s + t * width);
  for (; t < count; t++) scores_tile<L, NV, 1, DIM>(k + t * dim, q, dim, s + t * width);
}

// a = a · correction + the sum over t, for DT of the dimensions.
template <class L, int NV, int DT> inline void values_tile(const float* v, int32_t dim, const float* p, int32_t count,
                                                           const float* correction, float* a) {
  constexpr int32_t n = LaneCount<L>::value;
  L sum[DT][NV];
  for (int j = 0; j < NV; j++) {
    const L c = L::load(correction + n * j);
    for (int d = 0; d < DT; d++) sum[d][j] = L::load(a + (d * NV + j) * n) * c;
  }
  for (int32_t t = 0; t < count; t++) {
    L lanes[NV];
    for (int j = 0; j < NV; j++) lanes[j] = L::load(p + (t * NV + j) * n);
    for (int d = 0; d < DT; d++) {
      const L value = L::set(v[t * dim + d]);
      for (int j = 0; j < NV; j++) sum[d][j] = fma(lanes[j], value, sum[d][j]);
    }
  }
  for (int d = 0; d < DT; d++) {
    for (int j = 0; j < NV; j++) sum[d][j].store(a + (d * NV + j) * n);
  }
}

template <class L, int NV> inline void weighted_values(const float* v, const float* p, int32_t count,
                                                       const float* correction, float* a, int32_t dim) {
  constexpr int DT = chains<L, NV>(), width = LaneCount<L>::value * NV;
  int32_t d = 0;
  for (; d + DT <= dim; d += DT) values_tile<L, NV, DT>(v + d, dim, p, count, correction, a + d * width);
  for (; d < dim; d++) values_tile<L, NV, 1>(v + d, dim, p, count, correction, a + d * width);
}

// ---- online softmax ----

// A tile's running state, lane-wise: [width] or [dim][width].
struct TileState {
  float *m, *l, *a;  // of this span
  float *total_m, *total_l, *total_a;
};

inline void reset_state(float* m, float* l, float* a, int32_t dim, int32_t width) {
  for (int32_t i = 0; i < width; i++) {
    m[i] = kNoMaximum;
    l[i] = 0.0f;
  }
  std::memset(a, 0, static_cast<size_t>(dim) * width * 4);
}

// The new running maximum of each lane, stored; correction is what sums over the old one are worth now.
template <class L, int NV> inline void new_maximum(const float* s, int32_t count, float* m, float* correction) {
  constexpr int32_t n = LaneCount<L>::value;
  for (int j = 0; j < NV; j++) {
    const L old = L::load(m + n * j);
    L most = old;
    for (int32_t t = 0; t < count; t++) most = vmax(most, L::load(s + (t * NV + j) * n));
    most.store(m + n * j);
    vexp(old - most).store(correction + n * j);
  }
}

// s becomes e^(s - m), in place.
template <class L, int NV> inline void exponentials(float* s, int32_t count, const float* m, const Ahead& ahead) {
  if constexpr (LaneCount<L>::value == 8) {  // two tokens to a Vec; s has room for one more
    float twice[16];
    std::memcpy(twice, m, 32);
    std::memcpy(twice + 8, m, 32);
    const Vec most = Vec::load(twice);
    for (int32_t t = 0; t < count; t += 2) {
      ahead.fetch(ahead.v, t, 2);
      vexp(Vec::load(s + t * 8) - most).store(s + t * 8);
    }
  } else {
    Vec most[NV];
    for (int j = 0; j < NV; j++) most[j] = Vec::load(m + 16 * j);
    for (int32_t t = 0; t < count; t++) {
      ahead.fetch(ahead.v, t, 1);
      for (int j = 0; j < NV; j++) {
        float* at = s + (t * NV + j) * 16;
        vexp(Vec::load(at) - most[j]).store(at);
      }
    }
  }
}

template <class L, int NV> inline void softmax_step(float* s, int32_t count, float* m, float* l, float* correction,
                                                    const Ahead& ahead) {
  constexpr int32_t n = LaneCount<L>::value;
  new_maximum<L, NV>(s, count, m, correction);
  exponentials<L, NV>(s, count, m, ahead);
  for (int j = 0; j < NV; j++) {
    L sum = L::load(l + n * j) * L::load(correction + n * j);
    for (int32_t t = 0; t < count; t++) sum = sum + L::load(s + (t * NV + j) * n);
    sum.store(l + n * j);
  }
}

// totals += one span's result. A span in which a lane saw no key changes nothing in that lane.
template <class L> inline void fold_lanes(const TileState& total, const float* m, const float* l, const float* a, int32_t dim,
                                          int32_t width) {
  for (int32_t i = 0; i < width; i += LaneCount<L>::value) {
    const L m0 = L::load(total.total_m + i), m1 = L::load(m + i);
    const L most = vmax(m0, m1), c0 = vexp(m0 - most), c1 = vexp(m1 - most);
    most.store(total.total_m + i);
    (L::load(total.total_l + i) * c0 + L::load(l + i) * c1).store(total.total_l + i);
    for (int32_t d = 0; d < dim; d++) {
      float* to = total.total_a + d * width + i;
      (L::load(to) * c0 + L::load(a + d * width + i) * c1).store(to);
    }
  }
}
inline void fold(const TileState& total, const float* m, const float* l, const float* a, int32_t dim, int32_t width) {
  if (width == 8) fold_lanes<Vec8>(total, m, l, a, dim, width);
  else fold_lanes<Vec>(total, m, l, a, dim, width);
}

// What to multiply a lane's sum of values by: e^(m - M) / (l · e^(m - M) + e^(sink - M)), M the larger of m and sink.
inline void final_factors(const float* m, const float* l, const float* sinks, int32_t width, float* factor) {
  for (int32_t i = 0; i < width; i++) {
    const float most = m[i] > sinks[i] ? m[i] : sinks[i];
    const float c = exp1(m[i] - most);
    factor[i] = c / (l[i] * c + exp1(sinks[i] - most));
  }
}

// ---- stored keys and values ----

// 16 values of a stored token from dimension d on.
template <KvType type> inline Vec load_kv(const uint8_t* token, int32_t dim, int32_t d) {
  if constexpr (type == KvType::F32) return Vec::load(reinterpret_cast<const float*>(token) + d);
  else if constexpr (type == KvType::F16) return load_f16(token + 2 * d);
  uint16_t half;
  std::memcpy(&half, token + dim + d / 32 * 2, 2);
  return load_i8(token + d) * Vec::set(f16_to_f32(half));
}

inline void decode_token(const KvLayer& kv, const uint8_t* token, float* out) {
  const int32_t dim = kv.head_dim;
  int32_t d = 0;
  if (kv.type == KvType::F32) {
    std::memcpy(out, token, static_cast<size_t>(dim) * 4);
  } else if (kv.type == KvType::F16) {
    for (; d + 16 <= dim; d += 16) load_kv<KvType::F16>(token, dim, d).store(out + d);
    for (; d < dim; d++) {
      uint16_t half;
      std::memcpy(&half, token + 2 * d, 2);
      out[d] = f16_to_f32(half);
    }
  } else {
    for (; d < dim; d += 16) load_kv<KvType::Q8>(token, dim, d).store(out + d);
  }
}

// The float32 way: exact, and fast where there is no bf16 dot product.
struct FloatMath {
  static constexpr int32_t kAlign = 1;
  struct Step { const float *k, *v; };
  static bool fits(const KvLayer&) { return true; }

  // In place when the tokens of the step are stored as float32 and lie together, else converted into `into`.
  static const float* rows(const KvLayer& kv, const uint8_t* base, const int32_t* pages, int32_t head, StepRange r, float* into) {
    if (kv.type == KvType::F32 && kv.page_tokens >= kStep) {
      return reinterpret_cast<const float*>(token_at(kv, base, pages, head, r.step));
    }
    for (int64_t t = r.first; t < r.end; t++) {
      decode_token(kv, token_at(kv, base, pages, head, t), into + (t - r.step) * kv.head_dim);
    }
    return into;
  }
  static Step prepare(const KvLayer& kv, const int32_t* pages, int32_t head, StepRange r, float* k_space, float* v_space) {
    return {rows(kv, kv.k, pages, head, r, k_space), rows(kv, kv.v, pages, head, r, v_space)};
  }
  static void set_query(float* q, int32_t width, int32_t lane, const float* from, float scale, int32_t dim) {
    for (int32_t d = 0; d < dim; d++) q[d * width + lane] = from != nullptr ? from[d] * scale : 0.0f;
  }
  template <class L, int NV> static void scores_of(const Step& x, StepRange r, const Ahead& ahead, const float* q, int32_t dim,
                                                   float* s) {
    const int32_t count = static_cast<int32_t>(r.end - r.first);
    const float* k = x.k + (r.first - r.step) * dim;
    if (dim == 64) scores<L, NV, 64>(k, q, dim, s, count, ahead);
    else scores<L, NV, 0>(k, q, dim, s, count, ahead);
  }
  template <class L, int NV> static void values_of(const Step& x, StepRange r, const Ahead& ahead, float* s,
                                                   const TileState& st, int32_t dim) {
    const int32_t count = static_cast<int32_t>(r.end - r.first);
    alignas(64) float correction[LaneCount<L>::value * NV];
    softmax_step<L, NV>(s, count, st.m, st.l, correction, ahead);
    weighted_values<L, NV>(x.v + (r.first - r.step) * dim, s, count, correction, st.a, dim);
  }
};
