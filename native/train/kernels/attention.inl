// Attention inside documents, forward and backward, by matrix products over tiles: a tile is some queries of all the heads
// that share a key-value head, against every key that any of them sees.

constexpr int32_t kAttentionTile = 128;  // rows of a tile: queries x heads of a group

struct AttentionTile {
  int32_t start, first, queries;  // document's row; queries first … first + queries - 1 of it
  int32_t low, keys;              // keys low … low + keys - 1
  int32_t kv_head, group, rows;   // rows = queries * group
};

inline int32_t tile_queries(int32_t group) { return group >= kAttentionTile / 16 ? 16 : kAttentionTile / group; }

int64_t attention_scratch(int32_t heads, int32_t kv_heads, int32_t head_dim, int32_t longest) {
  const int32_t group = heads / kv_heads;
  const int64_t rows = int64_t{tile_queries(group)} * group;
  const int32_t most = longest > rows ? longest : static_cast<int32_t>(rows);
  return rows * (3 * int64_t{head_dim} + 2 * int64_t{longest} + 2) + gemm_scratch(most) + 64;
}

inline void take_heads(float* to, const float* from, int64_t stride, const AttentionTile& t, int32_t head_dim) {
  for (int32_t q = 0; q < t.queries; q++) {
    std::memcpy(to + static_cast<int64_t>(q) * t.group * head_dim,
                from + (static_cast<int64_t>(t.start) + t.first + q) * stride + static_cast<int64_t>(t.kv_head) * t.group * head_dim,
                static_cast<size_t>(t.group) * head_dim * 4);
  }
}
inline void put_heads(float* to, const float* from, int64_t stride, const AttentionTile& t, int32_t head_dim) {
  for (int32_t q = 0; q < t.queries; q++) {
    std::memcpy(to + (static_cast<int64_t>(t.start) + t.first + q) * stride + static_cast<int64_t>(t.kv_head) * t.group * head_dim,
                from + static_cast<int64_t>(q) * t.group * head_dim, static_cast<size_t>(t.group) * head_dim * 4);
  }
}

// Keys of a row of the tile that it sees, counted from low.
struct Seen { int32_t from, count; };
inline Seen seen_by(const AttentionTile& t, int32_t row, int32_t window) {
  const int32_t query = t.first + row / t.group;
  const int32_t first = window > 0 && query >= window ? query - window + 1 : 0;
  return {first - t.low, query - first + 1};
}

inline void clear_unseen(float* scores, Seen seen, int32_t keys) {
  for (int32_t i = 0; i < seen.from; i++) scores[i] = 0.0f;
  for (int32_t i = seen.from + seen.count; i < keys; i++) scores[i] = 0.0f;
}

template <class F> void each_tile(const TrainAttention& a, F fn) {
  const int32_t group = a.heads / a.kv_heads, queries = tile_queries(group);
  for (int32_t d = 0; d < a.documents; d++) {
    const int32_t start = a.starts[d], length = a.starts[d + 1] - start;
    for (int32_t kv_head = 0; kv_head < a.kv_heads; kv_head++) {
      for (int32_t first = 0; first < length; first += queries) {
        const int32_t count = length - first < queries ? length - first : queries;
        const int32_t low = a.window > 0 && first >= a.window ? first - a.window + 1 : 0;
        fn(AttentionTile{start, first, count, low, first + count - low, kv_head, group, count * group});
      }
    }
  }
}

void attention(const TrainAttention& a) {
  const int32_t hd = a.head_dim;
  const int64_t stride = int64_t{a.heads + 2 * a.kv_heads} * hd;
  const float scale = 1.0f / std::sqrt(static_cast<float>(hd));
  each_tile(a, [&](const AttentionTile& t) {
    float* q = a.scratch;
    float* scores = q + int64_t{t.rows} * hd;
    float* free = scores + int64_t{t.rows} * t.keys;
    const float* keys = a.qkv + (static_cast<int64_t>(t.start) + t.low) * stride + int64_t{a.heads + t.kv_head} * hd;
    const float* values = keys + int64_t{a.kv_heads} * hd;
    take_heads(q, a.qkv, stride, t, hd);
    gemm({scores, t.keys, q, hd, 1, keys, 1, stride, t.rows, t.keys, hd, nullptr, false, free});
    for (int32_t r = 0; r < t.rows; r++) {
      float* s = scores + int64_t{r} * t.keys;
      const Seen seen = seen_by(t, r, a.window);
      clear_unseen(s, seen, t.keys);
      s += seen.from;
      const int32_t head = t.kv_head * t.group + r % t.group;
      float most = largest(s, seen.count) * scale;
      if (a.sinks[head] > most) most = a.sinks[head];
      const Vec by = Vec::set(scale), shift = Vec::set(-most);
      Vec sums = Vec::zero();
      for (int32_t i = 0; i < seen.count; i += 16) {
        const int32_t n = seen.count - i;
        const Vec e = vexp(fma(load_part(s + i, n), by, shift));
        store_part(e, s + i, n);
        sums = sums + load_part(s + i, n);  // again: what lies beyond the row counts as zero
      }
      const float sum = vsum(sums) + exp1(a.sinks[head] - most);
      const Vec inverse = Vec::set(1.0f / sum);
      for (int32_t i = 0; i < seen.count; i += 16) {
        store_part(load_part(s + i, seen.count - i) * inverse, s + i, seen.count - i);
      }
      const int64_t row = static_cast<int64_t>(t.start) + t.first + r / t.group;
      a.lse[row * a.heads + head] = most + std::log(sum);
    }
    gemm({q, hd, scores, t.keys, 1, values, stride, 1, t.rows, hd, t.keys, nullptr, false, free});
    put_heads(a.out, q, int64_t{a.heads} * hd, t, hd);
  });
}

// p = exp(s - lse); dv += pᵀ do; dp = do vᵀ; ds = p (dp - Δ) scale, Δ = do·o; dq = ds k; dk += dsᵀ q;
// dsink -= exp(sink - lse) Δ.
void attention_back(const TrainAttention& a) {
  const int32_t hd = a.head_dim;
  const int64_t stride = int64_t{a.heads + 2 * a.kv_heads} * hd, width = int64_t{a.heads} * hd;
  const float scale = 1.0f / std::sqrt(static_cast<float>(hd));
  for (int64_t r = 0; r < a.starts[a.documents]; r++) {
    std::memset(a.dqkv + r * stride + width, 0, static_cast<size_t>(stride - width) * 4);
  }
  each_tile(a, [&](const AttentionTile& t) {
    float* q = a.scratch;
    float* dout = q + int64_t{t.rows} * hd;
    float* out = dout + int64_t{t.rows} * hd;
    float* delta = out + int64_t{t.rows} * hd;
    float* p = delta + t.rows;
    float* ds = p + int64_t{t.rows} * t.keys;
    float* free = ds + int64_t{t.rows} * t.keys;
    const int64_t at = (static_cast<int64_t>(t.start) + t.low) * stride + int64_t{a.heads + t.kv_head} * hd;
    const float *keys = a.qkv + at, *values = keys + int64_t{a.kv_heads} * hd;
    float *dkeys = a.dqkv + at, *dvalues = dkeys + int64_t{a.kv_heads} * hd;
    take_heads(q, a.qkv, stride, t, hd);
    take_heads(dout, a.dout, width, t, hd);
    take_heads(out, a.out, width, t, hd);
    gemm({p, t.keys, q, hd, 1, keys, 1, stride, t.rows, t.keys, hd, nullptr, false, free});
    gemm({ds, t.keys, dout, hd, 1, values, 1, stride, t.rows, t.keys, hd, nullptr, false, free});
    for (int32_t r = 0; r < t.rows; r++) {
      float* pr = p + int64_t{r} * t.keys;
      float* dr = ds + int64_t{r} * t.keys;
      const Seen seen = seen_by(t, r, a.window);
      clear_unseen(pr, seen, t.keys);
      clear_unseen(dr, seen, t.keys);
      pr += seen.from;
      dr += seen.from;
      const int32_t head = t.kv_head * t.group + r % t.group;
      const float lse = a.lse[(static_cast<int64_t>(t.start) + t.first + r / t.group) * a.heads + head];
      const float sum = dot(dout + int64_t{r} * hd, out + int64_t{r} * hd, hd);
      delta[r] = exp1(a.sinks[head] - lse) * sum;
      const Vec by = Vec::set(scale), shift = Vec::set(-lse), less = Vec::set(sum);
      for (int32_t i = 0; i < seen.count; i += 16) {
        const int32_t n = seen.count - i;
        const Vec e = vexp(fma(load_part(pr + i, n), by, shift));
        store_part(e, pr + i, n);
        store_part(e * (load_part(dr + i, n) - less) * by, dr + i, n);
      }
    }
    for (int32_t g = 0; g < t.group; g++) {
      float sum = 0;
      for (int32_t r = g; r < t.rows; r += t.group) sum += delta[r];
      a.dsinks[t.kv_head * t.group + g] -= sum;
    }
    gemm({dvalues, stride, p, 1, t.keys, dout, hd, 1, t.keys, hd, t.rows, nullptr, true, free});
    gemm({dkeys, stride, ds, 1, t.keys, q, hd, 1, t.keys, hd, t.rows, nullptr, true, free});
    gemm({out, hd, ds, t.keys, 1, keys, stride, 1, t.rows, hd, t.keys, nullptr, false, free});
    put_heads(a.dqkv, out, stride, t, hd);
  });
}
