// Causal grouped-query attention over the paged cache, with one sink logit per query head.
//
// The queries of one kv head of a sequence are numbered row · group + head and cut into tiles, whose lanes they are; every
// key and value that is loaded serves all of them. Keys come in steps of 64 positions; at each step the running maximum m,
// the sum l and the weighted values a are rescaled (online softmax). A span of 1,024 positions ends by folding (m, l, a)
// into the totals. Steps and spans lie at absolute positions, so in `exact` a row's bits depend neither on the other rows
// of its tile nor on whether the spans were walked by one worker or by many. `fast` uses bf16 products where the processor
// has them. Next: attention_tiles.inl for the arithmetic.

constexpr int32_t kSpan = 1024;
constexpr int32_t kGroupTiles = 4;       // tiles that share a converted step of keys
constexpr int64_t kMostPartials = 4096;  // results of single spans that fit into the team's scratch

#include "attention_tiles.inl"
#include "attention_bf16.inl"
#ifdef GPTOSS_AMX
#include "attention_amx.inl"
#endif

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

template <class M> inline void pack_queries(const AttentionJob& job, const Tile& tile) {
  const int32_t dim = job.a.kv.head_dim, width = tile_width(tile.count);
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  for (int32_t i = 0; i < width; i++) {
    M::set_query(tile.q, width, i, i < tile.count ? job.a.q + job.offset_of(tile.first + i) : nullptr, scale, dim);
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

template <class M> inline void tile_step(const AttentionJob& job, const Tile& tile, const typename M::Step& x, StepRange r,
                                         const Ahead& ahead, float* s) {
  const int32_t dim = job.a.kv.head_dim;
  with_lanes(tile_width(tile.count), [&]<class L, int NV>() {
    M::template scores_of<L, NV>(x, r, ahead, tile.q, dim, s);
    mask_scores(job, tile, s, r.first, r.end);
    M::template values_of<L, NV>(x, r, ahead, s, tile.state, dim);
  });
}

// Divides by the sum, the sink's share included, and writes the rows.
inline void finish_tile(const AttentionJob& job, const Tile& tile) {
  const int32_t dim = job.a.kv.head_dim, width = tile_width(tile.count);
  float sinks[kTileQueries], factor[kTileQueries];
  for (int32_t i = 0; i < width; i++) {
    sinks[i] = i < tile.count ? job.a.sinks[job.head * job.group + (tile.first + i) % job.group] : 0.0f;
  }
  final_factors(tile.state.total_m, tile.state.total_l, sinks, width, factor);
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
    s = take(kStep * kTileQueries + 16);
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
template <class M>
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
    const StepRange range{step, step > first ? step : first, step + kStep < end ? step + kStep : end};
    const Ahead ahead(a.kv, job.s.pages, job.head, step + kStep, end);
    const typename M::Step x = M::prepare(a.kv, job.s.pages, job.head, range, space.k, space.v);
    for (int32_t i = 0; i < tile_count; i++) {
      const int64_t from = job.first_visible(tiles[i].first), to = job.end_visible(tiles[i].first + tiles[i].count - 1);
      StepRange r{step, range.first > from ? range.first : from, range.end < to ? range.end : to};
      if (r.first >= r.end) continue;
      r.first -= r.first % M::kAlign;
      r.end += (M::kAlign - r.end % M::kAlign) % M::kAlign;
      tile_step<M>(job, tiles[i], x, r, i == 0 ? ahead : Ahead(), space.s);
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
template <class M>
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
      pack_queries<M>(job, tile);
      reset_state(tile.state.m, tile.state.l, tile.state.a, dim, width);
      reset_state(tile.state.total_m, tile.state.total_l, tile.state.total_a, dim, width);
    }
    const Tile& last = tiles[tile_count - 1];
    walk_keys<M>(job, tiles, tile_count, job.first_visible(first), job.end_visible(last.first + last.count - 1), false, space);
    for (int32_t i = 0; i < tile_count; i++) finish_tile(job, tiles[i]);
  });
}

// Spans of one tile are walked by different workers, then folded in order: the same bits as attention_whole.
template <class M>
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
    pack_queries<M>(job, tile);
    walk_keys<M>(job, &tile, 1, low, high, true, space);
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

template <class M> inline void attend(Worker& w, const AttentionArgs& a) {
  int64_t tiles = 0, partials = 0;
  bool long_context = false;
  for (int32_t i = 0; i < a.sequence_count; i++) {
    const Cut cut(a, a.sequences[i], kTileQueries);
    tiles += int64_t{cut.tiles} * a.kv.kv_heads;
    partials += int64_t{cut.tiles} * a.kv.kv_heads * cut.spans;
    long_context = long_context || cut.spans > 1;
  }
  if (long_context && w.count > 1 && tiles < 8 * w.count && partials <= kMostPartials) {
    attention_spans<M>(w, a);
  } else {
    attention_whole<M>(w, a, tiles >= 8 * kGroupTiles * w.count ? kGroupTiles : 1);
  }
}

void attention(Worker& w, const AttentionArgs& a) {
#ifdef GPTOSS_AMX
  if (!a.exact && Bf16Math::fits(a.kv)) {
    int32_t most = 0;
    for (int32_t i = 0; i < a.sequence_count; i++) most = a.sequences[i].row_count > most ? a.sequences[i].row_count : most;
    if (most >= AmxMath::kLeastRows) return attend<AmxMath>(w, a);
  }
#endif
#ifdef GPTOSS_BF16_DOT
  if (!a.exact && Bf16Math::fits(a.kv)) return attend<Bf16Math>(w, a);
#endif
  attend<FloatMath>(w, a);
}

size_t attention_scratch(int32_t heads, int32_t head_dim, int32_t rows) {
  (void)heads;
  (void)rows;
  return static_cast<size_t>(kMostPartials) * (head_dim + 2) * kTileQueries * 4;
}
