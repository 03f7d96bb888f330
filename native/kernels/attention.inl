// Causal grouped-query attention over the paged cache, with one sink logit per query head.
//
// The queries of one kv head of a sequence are numbered row · group + head and laid out as lanes: a tile is up to
// 16 · kTileVecs of them, from as many rows as that takes, and every key and value it loads serves all of its lanes.
//   S[t][q] = Σ_d K[t][d] · Q[d][q]        one chain of fused multiply-adds over d, ascending
//   A[d][q] = Σ_t V[t][d] · P[t][q]        one chain over t, ascending
// Keys come in steps of 64 positions; at each step the running maximum m, sum l and A are rescaled (online softmax). A span
// of 1,024 positions ends by folding (m, l, A) into the totals. Steps and spans are at absolute positions, so a row's bits
// depend neither on the other rows of its tile nor on whether the spans were walked by one worker or by many.
// Next: attention_decode.inl.

constexpr int32_t kStep = 64, kSpan = 1024;
constexpr int32_t kTileVecs = kVecAccumulators >= 24 ? 3 : 2;
constexpr int32_t kTileQueries = 16 * kTileVecs;
constexpr int32_t kGroupTiles = 4;         // tiles that share a converted step of keys
constexpr int64_t kMostPartials = 4096;    // results of single spans that fit into the team's scratch
constexpr float kNoMaximum = -1e30f, kMasked = -3e38f;

// ---- the two products ----

template <int NV, int KT> inline void scores_tile(const float* k, int64_t k_stride, const float* q, int32_t dim, float* s) {
  Vec sum[KT][NV];
  for (int t = 0; t < KT; t++) {
    for (int j = 0; j < NV; j++) sum[t][j] = Vec::zero();
  }
  for (int32_t d = 0; d < dim; d++) {
    Vec lanes[NV];
    for (int j = 0; j < NV; j++) lanes[j] = Vec::load(q + d * NV * 16 + 16 * j);
    for (int t = 0; t < KT; t++) {
      const Vec key = Vec::set(k[t * k_stride + d]);
      for (int j = 0; j < NV; j++) sum[t][j] = fma(lanes[j], key, sum[t][j]);
    }
  }
  for (int t = 0; t < KT; t++) {
    for (int j = 0; j < NV; j++) sum[t][j].store(s + (t * NV + j) * 16);
  }
}

template <int NV> inline void scores(const float* k, int64_t k_stride, const float* q, int32_t dim, float* s, int32_t count) {
  constexpr int KT = kVecAccumulators / NV < 8 ? kVecAccumulators / NV : 8;
  int32_t t = 0;
  for (; t + KT <= count; t += KT) scores_tile<NV, KT>(k + t * k_stride, k_stride, q, dim, s + t * NV * 16);
  for (; t < count; t++) scores_tile<NV, 1>(k + t * k_stride, k_stride, q, dim, s + t * NV * 16);
}

// a = a · correction + the sum over t, for DT of the dimensions.
template <int NV, int DT> inline void values_tile(const float* v, int64_t v_stride, const float* p, int32_t count,
                                                  const float* correction, float* a) {
  Vec sum[DT][NV];
  for (int j = 0; j < NV; j++) {
    const Vec c = Vec::load(correction + 16 * j);
    for (int d = 0; d < DT; d++) sum[d][j] = Vec::load(a + (d * NV + j) * 16) * c;
  }
  for (int32_t t = 0; t < count; t++) {
    Vec lanes[NV];
    for (int j = 0; j < NV; j++) lanes[j] = Vec::load(p + (t * NV + j) * 16);
    for (int d = 0; d < DT; d++) {
      const Vec value = Vec::set(v[t * v_stride + d]);
      for (int j = 0; j < NV; j++) sum[d][j] = fma(lanes[j], value, sum[d][j]);
    }
  }
  for (int d = 0; d < DT; d++) {
    for (int j = 0; j < NV; j++) sum[d][j].store(a + (d * NV + j) * 16);
  }
}

template <int NV> inline void weighted_values(const float* v, int64_t v_stride, const float* p, int32_t count,
                                              const float* correction, float* a, int32_t dim) {
  constexpr int DT = kVecAccumulators / NV < 8 ? kVecAccumulators / NV : 8;
  int32_t d = 0;
  for (; d + DT <= dim; d += DT) values_tile<NV, DT>(v + d, v_stride, p, count, correction, a + d * NV * 16);
  for (; d < dim; d++) values_tile<NV, 1>(v + d, v_stride, p, count, correction, a + d * NV * 16);
}

// ---- online softmax ----

// One tile's running state, all lane-wise: [NV·16] or [dim][NV·16].
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

// s becomes the probabilities relative to the new maximum; correction is what the old sums are worth now.
template <int NV> inline void softmax_step(float* s, int32_t count, float* m, float* l, float* correction) {
  for (int j = 0; j < NV; j++) {
    const Vec old = Vec::load(m + 16 * j);
    Vec most = old;
    for (int32_t t = 0; t < count; t++) most = vmax(most, Vec::load(s + (t * NV + j) * 16));
    const Vec c = vexp(old - most);
    Vec sum = Vec::load(l + 16 * j) * c;
    for (int32_t t = 0; t < count; t++) {
      const Vec p = vexp(Vec::load(s + (t * NV + j) * 16) - most);
      p.store(s + (t * NV + j) * 16);
      sum = sum + p;
    }
    most.store(m + 16 * j);
    sum.store(l + 16 * j);
    c.store(correction + 16 * j);
  }
}

// totals += one span's result. A span in which a lane saw no key changes nothing in that lane.
inline void fold(const TileState& total, const float* m, const float* l, const float* a, int32_t dim, int32_t width) {
  for (int32_t i = 0; i < width; i += 16) {
    const Vec m0 = Vec::load(total.total_m + i), m1 = Vec::load(m + i);
    const Vec most = vmax(m0, m1), c0 = vexp(m0 - most), c1 = vexp(m1 - most);
    most.store(total.total_m + i);
    (Vec::load(total.total_l + i) * c0 + Vec::load(l + i) * c1).store(total.total_l + i);
    for (int32_t d = 0; d < dim; d++) {
      float* to = total.total_a + d * width + i;
      (Vec::load(to) * c0 + Vec::load(a + d * width + i) * c1).store(to);
    }
  }
}

// ---- keys and values of a step ----

struct Span2 { const float* data; int64_t stride; };

// Tokens [first, end) of one kv head as float32, within the step that starts at `step`. In place when they are stored so
// and lie together, else converted into `into` at [token - step][dim].
inline Span2 step_floats(const KvLayer& kv, const uint8_t* base, const int32_t* pages, int32_t head, int64_t step,
                         int64_t first, int64_t end, float* into) {
  const int64_t head_bytes = kv.page_tokens * kv.token_bytes;
  const int32_t dim = kv.head_dim;
  if (kv.type == KvType::F32 && kv.page_tokens >= kStep) {
    const uint8_t* at = base + (int64_t{pages[step / kv.page_tokens]} * kv.kv_heads + head) * head_bytes +
                        step % kv.page_tokens * kv.token_bytes;
    return {reinterpret_cast<const float*>(at), dim};
  }
  for (int64_t t = first; t < end; t++) {
    const uint8_t* at = base + (int64_t{pages[t / kv.page_tokens]} * kv.kv_heads + head) * head_bytes +
                        t % kv.page_tokens * kv.token_bytes;
    float* out = into + (t - step) * dim;
    if (kv.type == KvType::F32) {
      std::memcpy(out, at, static_cast<size_t>(dim) * 4);
    } else if (kv.type == KvType::F16) {
      int32_t d = 0;
      for (; d + 16 <= dim; d += 16) load_f16(at + 2 * d).store(out + d);
      for (; d < dim; d++) {
        uint16_t half;
        std::memcpy(&half, at + 2 * d, 2);
        out[d] = f16_to_f32(half);
      }
    } else {
      for (int32_t d = 0; d < dim; d += 32) {
        uint16_t half;
        std::memcpy(&half, at + dim + d / 16, 2);
        const Vec scale = Vec::set(f16_to_f32(half));
        (load_i8(at + d) * scale).store(out + d);
        (load_i8(at + d + 16) * scale).store(out + d + 16);
      }
    }
  }
  return {into, dim};
}

// ---- tiles ----

// Some queries of one sequence and kv head: numbers [first, first + count), number = row · group + head in group.
struct Tile {
  int32_t first, count;
  float* q;  // [dim][width], scaled
  TileState state;
};

struct AttentionJob {
  const AttentionArgs& a;
  const Sequence& s;
  int32_t head;   // kv head
  int32_t group;  // query heads per kv head

  int64_t position_of(int32_t query) const { return s.position + query / group; }
  // First and one past last visible position of a query.
  int64_t first_visible(int32_t query) const {
    const int64_t p = position_of(query);
    return a.window > 0 && p - a.window + 1 > 0 ? p - a.window + 1 : 0;
  }
  int64_t end_visible(int32_t query) const { return position_of(query) + 1; }
  int64_t offset_of(int32_t query) const {  // of its values in q and y
    const int64_t row = s.first_row + query / group;
    return (row * a.heads + head * group + query % group) * a.kv.head_dim;
  }
};

inline int32_t tile_width(int32_t count) { return (count + 15) / 16 * 16; }

inline void pack_queries(const AttentionJob& job, const Tile& tile) {
  const int32_t dim = job.a.kv.head_dim, width = tile_width(tile.count);
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  for (int32_t i = 0; i < width; i++) {
    const float* from = i < tile.count ? job.a.q + job.offset_of(tile.first + i) : nullptr;
    for (int32_t d = 0; d < dim; d++) tile.q[d * width + i] = from != nullptr ? from[d] * scale : 0.0f;
  }
}

// Masks what the rows of the tile may not see of tokens [first, end).
inline void mask_scores(const AttentionJob& job, const Tile& tile, float* s, int64_t first, int64_t end) {
  const int32_t width = tile_width(tile.count), last = tile.first + tile.count - 1;
  if (first >= job.first_visible(last) && end <= job.end_visible(tile.first)) return;
  for (int32_t i = 0; i < tile.count; i++) {
    const int64_t low = job.first_visible(tile.first + i), high = job.end_visible(tile.first + i);
    for (int64_t t = first; t < end && t < low; t++) s[(t - first) * width + i] = kMasked;
    for (int64_t t = high > first ? high : first; t < end; t++) s[(t - first) * width + i] = kMasked;
  }
}

template <int NV> inline void tile_step(const AttentionJob& job, const Tile& tile, Span2 k, Span2 v, int64_t step,
                                        int64_t first, int64_t end, float* s) {
  const int32_t dim = job.a.kv.head_dim, count = static_cast<int32_t>(end - first);
  alignas(64) float correction[NV * 16];
  scores<NV>(k.data + (first - step) * k.stride, k.stride, tile.q, dim, s, count);
  mask_scores(job, tile, s, first, end);
  softmax_step<NV>(s, count, tile.state.m, tile.state.l, correction);
  weighted_values<NV>(v.data + (first - step) * v.stride, v.stride, s, count, correction, tile.state.a, dim);
}

inline void tile_step(const AttentionJob& job, const Tile& tile, Span2 k, Span2 v, int64_t step, int64_t first,
                      int64_t end, float* s) {
  switch (tile_width(tile.count) / 16) {
    case 1: return tile_step<1>(job, tile, k, v, step, first, end, s);
    case 2: return tile_step<2>(job, tile, k, v, step, first, end, s);
    default: return tile_step<kTileVecs>(job, tile, k, v, step, first, end, s);
  }
}

// Divides by the sum, the sink's share included, and writes the rows.
inline void finish_tile(const AttentionJob& job, const Tile& tile) {
  const int32_t dim = job.a.kv.head_dim, width = tile_width(tile.count);
  alignas(64) float sinks[kTileQueries], factor[kTileQueries];
  for (int32_t i = 0; i < width; i++) {
    sinks[i] = i < tile.count ? job.a.sinks[job.head * job.group + (tile.first + i) % job.group] : 0.0f;
  }
  for (int32_t i = 0; i < width; i += 16) {
    const Vec m = Vec::load(tile.state.total_m + i), sink = Vec::load(sinks + i), most = vmax(m, sink);
    const Vec c = vexp(m - most);
    const Vec sum = fma(Vec::load(tile.state.total_l + i), c, vexp(sink - most));
    alignas(64) float above[16], below[16];
    c.store(above);
    sum.store(below);
    for (int j = 0; j < 16; j++) factor[i + j] = above[j] / below[j];
  }
  for (int32_t i = 0; i < tile.count; i++) {
    float* y = job.a.y + job.offset_of(tile.first + i);
    const float* from = tile.state.total_a + i;
    for (int32_t d = 0; d < dim; d++) y[d] = from[d * width] * factor[i];
  }
}

// ---- work for one worker ----

// Carves the worker's own scratch: q, a and total a of each tile, converted keys and values, scores.
struct AttentionSpace {
  float *k, *v, *s;
  float* next;

  explicit AttentionSpace(const Worker& w, int32_t dim) {
    next = reinterpret_cast<float*>(w.local);
    k = take(kStep * dim);
    v = take(kStep * dim);
    s = take(kStep * kTileQueries);
  }
  float* take(int64_t n) {
    float* p = next;
    next += (n + 15) / 16 * 16;
    return p;
  }
  Tile tile(int32_t dim) {
    const int64_t matrix = int64_t{dim} * kTileQueries;
    Tile t{};
    t.q = take(matrix);
    t.state = {take(kTileQueries), take(kTileQueries), take(matrix), take(kTileQueries), take(kTileQueries), take(matrix)};
    return t;
  }
};

// Walks the keys [first, end) for the tiles of one group, span by span. With `partial` there is one span, one tile, and
// the result stays in its (m, l, a); else it is folded into the totals.
inline void walk_keys(const AttentionJob& job, Tile* tiles, int32_t tile_count, int64_t first, int64_t end, bool partial,
                      const AttentionSpace& space) {
  const AttentionArgs& a = job.a;
  const int32_t dim = a.kv.head_dim;
  const auto fold_all = [&] {
    for (int32_t i = 0; i < tile_count; i++) {
      const int32_t width = tile_width(tiles[i].count);
      const TileState& st = tiles[i].state;
      fold(st, st.m, st.l, st.a, dim, width);
      reset_state(st.m, st.l, st.a, dim, width);
    }
  };
  for (int64_t step = first / kStep * kStep; step < end; step += kStep) {
    if (!partial && step % kSpan == 0 && step > first) fold_all();
    const int64_t low = step > first ? step : first, high = step + kStep < end ? step + kStep : end;
    const Span2 k = step_floats(a.kv, a.kv.k, job.s.pages, job.head, step, low, high, space.k);
    const Span2 v = step_floats(a.kv, a.kv.v, job.s.pages, job.head, step, low, high, space.v);
    for (int32_t i = 0; i < tile_count; i++) {
      const int64_t from = job.first_visible(tiles[i].first), to = job.end_visible(tiles[i].first + tiles[i].count - 1);
      const int64_t tile_low = low > from ? low : from, tile_high = high < to ? high : to;
      if (tile_low < tile_high) tile_step(job, tiles[i], k, v, step, tile_low, tile_high, space.s);
    }
  }
  if (!partial) fold_all();
}

// How one sequence's work is cut. `tiles` of them per kv head, over `spans` spans from `first_span` on.
struct Cut {
  int32_t tiles, first_span, spans;

  Cut(const AttentionArgs& a, const Sequence& s, int32_t tile_queries) {
    const int32_t queries = s.row_count * (a.heads / a.kv.kv_heads);
    const int32_t last = s.position + s.row_count - 1;
    const int32_t oldest = a.window > 0 && s.position - a.window + 1 > 0 ? s.position - a.window + 1 : 0;
    tiles = (queries + tile_queries - 1) / tile_queries;
    first_span = a.window > 0 ? oldest / kSpan : 0;
    spans = last / kSpan - first_span + 1;
  }
};

// Every tile walks all of its keys; groups of tiles share converted keys.
inline void attention_whole(Worker& w, const AttentionArgs& a, int32_t group_tiles) {
  const int32_t dim = a.kv.head_dim, group = a.heads / a.kv.kv_heads;
  const int32_t queries_per_item = kTileQueries * group_tiles;
  int64_t items = 0;
  for (int32_t i = 0; i < a.sequence_count; i++) {
    items += int64_t{Cut(a, a.sequences[i], queries_per_item).tiles} * a.kv.kv_heads;
  }
  w.chunks(items, [&](int64_t item) {
    const Sequence* s = a.sequences;
    int64_t index = item, count = 0;
    for (;; s++, index -= count) {
      count = int64_t{Cut(a, *s, queries_per_item).tiles} * a.kv.kv_heads;
      if (index < count) break;
    }
    const AttentionJob job{a, *s, static_cast<int32_t>(index % a.kv.kv_heads), group};
    // The last rows see most keys: they come first, so that the loop does not end with the longest piece.
    const int32_t number = static_cast<int32_t>((count - 1 - index) / a.kv.kv_heads);
    const int32_t first = number * queries_per_item, queries = s->row_count * group;
    AttentionSpace space(w, dim);
    Tile tiles[kGroupTiles];
    int32_t tile_count = 0;
    for (int32_t q = first; q < queries && tile_count < group_tiles; q += kTileQueries) {
      Tile& tile = tiles[tile_count++] = space.tile(dim);
      tile.first = q;
      tile.count = queries - q < kTileQueries ? queries - q : kTileQueries;
      const int32_t width = tile_width(tile.count);
      pack_queries(job, tile);
      reset_state(tile.state.m, tile.state.l, tile.state.a, dim, width);
      reset_state(tile.state.total_m, tile.state.total_l, tile.state.total_a, dim, width);
    }
    const Tile& last = tiles[tile_count - 1];
    walk_keys(job, tiles, tile_count, job.first_visible(first), job.end_visible(last.first + last.count - 1), false, space);
    for (int32_t i = 0; i < tile_count; i++) finish_tile(job, tiles[i]);
  });
}

// Spans of one tile are walked by different workers, then folded in order: the same bits as attention_whole.
inline void attention_spans(Worker& w, const AttentionArgs& a) {
  const int32_t dim = a.kv.head_dim, group = a.heads / a.kv.kv_heads;
  const int64_t partial_floats = int64_t{dim + 2} * kTileQueries;
  float* partials = reinterpret_cast<float*>(a.scratch);
  // (m, l, a) of a partial.
  const auto state_at = [&](int64_t item) {
    float* p = partials + item * partial_floats;
    TileState st{};
    st.m = p;
    st.l = p + kTileQueries;
    st.a = p + 2 * kTileQueries;
    return st;
  };
  // Which sequence, tile and kv head the number-th tile is, and the first of its partials.
  struct Place { const Sequence* s; Cut cut; int32_t head, first, count; int64_t partial; };
  const auto locate = [&](int64_t number) {
    int64_t partial = 0;
    for (const Sequence* s = a.sequences;; s++) {
      const Cut cut(a, *s, kTileQueries);
      const int64_t tiles = int64_t{cut.tiles} * a.kv.kv_heads;
      if (number < tiles) {
        const int32_t first = static_cast<int32_t>(number / a.kv.kv_heads) * kTileQueries;
        const int32_t left = s->row_count * group - first;
        return Place{s, cut, static_cast<int32_t>(number % a.kv.kv_heads), first,
                     left < kTileQueries ? left : kTileQueries, partial + number * cut.spans};
      }
      number -= tiles;
      partial += tiles * cut.spans;
    }
  };
  int64_t tiles = 0, most_spans = 0;
  for (int32_t i = 0; i < a.sequence_count; i++) {
    const Cut cut(a, a.sequences[i], kTileQueries);
    tiles += int64_t{cut.tiles} * a.kv.kv_heads;
    most_spans = cut.spans > most_spans ? cut.spans : most_spans;
  }
  // Items are (span, tile); a sequence with fewer spans has nothing to do in some.
  w.chunks(tiles * most_spans, [&](int64_t item) {
    const Place at = locate(item % tiles);
    const int64_t span = item / tiles;
    if (span >= at.cut.spans) return;
    const AttentionJob job{a, *at.s, at.head, group};
    AttentionSpace space(w, dim);
    Tile tile = space.tile(dim);
    tile.first = at.first;
    tile.count = at.count;
    tile.state = state_at(at.partial + span);
    reset_state(tile.state.m, tile.state.l, tile.state.a, dim, tile_width(tile.count));
    const int64_t start = (at.cut.first_span + span) * kSpan, end = start + kSpan;
    const int64_t from = job.first_visible(tile.first), to = job.end_visible(tile.first + tile.count - 1);
    const int64_t low = start > from ? start : from, high = end < to ? end : to;
    if (low >= high) return;
    pack_queries(job, tile);
    walk_keys(job, &tile, 1, low, high, true, space);
  });
  w.chunks(tiles, [&](int64_t number) {
    const Place at = locate(number);
    const AttentionJob job{a, *at.s, at.head, group};
    AttentionSpace space(w, dim);
    Tile tile = space.tile(dim);
    tile.first = at.first;
    tile.count = at.count;
    const int32_t width = tile_width(tile.count);
    reset_state(tile.state.total_m, tile.state.total_l, tile.state.total_a, dim, width);
    for (int32_t span = 0; span < at.cut.spans; span++) {
      const TileState part = state_at(at.partial + span);
      fold(tile.state, part.m, part.l, part.a, dim, width);
    }
    finish_tile(job, tile);
  });
}

void attention(Worker& w, const AttentionArgs& a) {
  int64_t tiles = 0, partials = 0;
  bool long_context = false;
  for (int32_t i = 0; i < a.sequence_count; i++) {
    const Cut cut(a, a.sequences[i], kTileQueries);
    tiles += int64_t{cut.tiles} * a.kv.kv_heads;
    partials += int64_t{cut.tiles} * a.kv.kv_heads * cut.spans;
    long_context = long_context || cut.spans > 1;
  }
  if (long_context && w.count > 1 && tiles < 8 * w.count && partials <= kMostPartials) {
    attention_spans(w, a);
  } else {
    attention_whole(w, a, tiles >= 8 * kGroupTiles * w.count ? kGroupTiles : 1);
  }
}

size_t attention_scratch(int32_t heads, int32_t head_dim, int32_t rows) {
  (void)heads;
  (void)rows;
  return static_cast<size_t>(kMostPartials) * (head_dim + 2) * kTileQueries * 4;
}
