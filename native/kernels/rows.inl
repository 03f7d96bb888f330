// Row-wise ops: embed, rms_norm, gather_rows, and rotary embedding with the write to the cache. One row is one chunk.
// Next: attention.inl, which reads what rope_cache wrote.

// The first n < 16 values at p, zeros behind.
inline Vec load_some(const float* p, int n) {
  float lanes[16] = {};
  std::memcpy(lanes, p, static_cast<size_t>(n) * 4);
  return Vec::load(lanes);
}
inline void store_some(Vec v, float* p, int n) {
  float lanes[16];
  v.store(lanes);
  std::memcpy(p, lanes, static_cast<size_t>(n) * 4);
}

void embed(Worker& w, const EmbedArgs& a) {
  const int64_t width = a.table->cols;
  w.chunks(a.rows, [&](int64_t r) { decode_row(*a.table, 0, a.tokens[r], a.y + r * width); });
}

void gather_rows(Worker& w, const GatherRowsArgs& a) {
  w.chunks(a.rows, [&](int64_t r) {
    std::memcpy(a.y + r * a.width, a.x + int64_t{a.index[r]} * a.width, static_cast<size_t>(a.width) * 4);
  });
}

// y = x · (1 / sqrt(mean(x²) + eps)) · gain. The squares are summed in lanes k mod 16, then by the fixed tree.
void rms_norm(Worker& w, const RmsNormArgs& a) {
  const int32_t whole = a.width / 16 * 16, rest = a.width - whole;
  w.chunks(a.rows, [&](int64_t r) {
    const float* x = a.x + r * a.width;
    float* y = a.y + r * a.width;
    Vec squares = Vec::zero();
    for (int32_t i = 0; i < whole; i += 16) {
      const Vec v = Vec::load(x + i);
      squares = fma(v, v, squares);
    }
    if (rest > 0) {
      const Vec v = load_some(x + whole, rest);
      squares = fma(v, v, squares);
    }
    const Vec scale = Vec::set(1.0f / std::sqrt(vsum(squares) / static_cast<float>(a.width) + a.eps));
    for (int32_t i = 0; i < whole; i += 16) (Vec::load(x + i) * scale * Vec::load(a.gain + i)).store(y + i);
    if (rest > 0) store_some(load_some(x + whole, rest) * scale * load_some(a.gain + whole, rest), y + whole, rest);
  });
}

// Rotates pairs (i, i + half) of one head by the row's angles.
inline void rotate_head(float* x, const float* cosines, const float* sines, int32_t half) {
  int32_t i = 0;
  for (; i + 16 <= half; i += 16) {
    const Vec a = Vec::load(x + i), b = Vec::load(x + half + i);
    const Vec c = Vec::load(cosines + i), s = Vec::load(sines + i);
    (a * c - b * s).store(x + i);
    (b * c + a * s).store(x + half + i);
  }
  for (; i < half; i++) {
    const float a = x[i], b = x[half + i];
    x[i] = a * cosines[i] - b * sines[i];
    x[half + i] = b * cosines[i] + a * sines[i];
  }
}

// 32 values as int8 with a float16 scale, largest magnitude / 127.
inline void store_q8_group(const float* x, int8_t* values, uint8_t* scale_out) {
  const Vec a = Vec::load(x), b = Vec::load(x + 16), zero = Vec::zero();
  const float most = vmaximum(vmax(vmax(a, zero - a), vmax(b, zero - b)));
  const uint16_t half = f32_to_f16(most / 127.0f);
  const float scale = f16_to_f32(half);
  std::memcpy(scale_out, &half, 2);
  const Vec inverse = Vec::set(scale > 0.0f ? 1.0f / scale : 0.0f), limit = Vec::set(127.0f);
  float rounded[32];
  vmax(vmin(vround(a * inverse), limit), zero - limit).store(rounded);
  vmax(vmin(vround(b * inverse), limit), zero - limit).store(rounded + 16);
  for (int i = 0; i < 32; i++) values[i] = static_cast<int8_t>(rounded[i]);
}

inline void store_token(const KvLayer& kv, const float* x, uint8_t* to) {
  const int32_t dim = kv.head_dim;
  if (kv.type == KvType::F32) {
    std::memcpy(to, x, static_cast<size_t>(dim) * 4);
  } else if (kv.type == KvType::F16) {
    int32_t i = 0;
    for (; i + 16 <= dim; i += 16) store_f16(Vec::load(x + i), to + 2 * i);
    for (; i < dim; i++) {
      const uint16_t half = f32_to_f16(x[i]);
      std::memcpy(to + 2 * i, &half, 2);
    }
  } else {
    for (int32_t i = 0; i < dim; i += 32) store_q8_group(x + i, reinterpret_cast<int8_t*>(to) + i, to + dim + i / 16);
  }
}

void rope_cache(Worker& w, const RopeCacheArgs& a) {
  const KvLayer& kv = a.kv;
  const int32_t dim = kv.head_dim, half = dim / 2;
  const int64_t q_width = int64_t{a.heads} * dim, k_width = int64_t{kv.kv_heads} * dim;
  const int64_t head_bytes = kv.page_tokens * kv.token_bytes;
  w.chunks(a.rows, [&](int64_t r) {
    const Sequence* s = a.sequences;
    while (r >= s->first_row + s->row_count) s++;
    const int64_t position = s->position + (r - s->first_row);
    const float *cosines = a.angles + r * dim, *sines = cosines + half;
    float *q = a.q + r * q_width, *k = a.k + r * k_width;
    for (int32_t h = 0; h < a.heads; h++) rotate_head(q + h * dim, cosines, sines, half);
    for (int32_t h = 0; h < kv.kv_heads; h++) rotate_head(k + h * dim, cosines, sines, half);
    if (position < s->write_from) return;
    const int64_t page = s->pages[position / kv.page_tokens], token = position % kv.page_tokens;
    for (int32_t h = 0; h < kv.kv_heads; h++) {
      const int64_t at = (page * kv.kv_heads + h) * head_bytes + token * kv.token_bytes;
      store_token(kv, k + h * dim, kv.k + at);
      store_token(kv, a.v + r * k_width + h * dim, kv.v + at);
    }
  });
}
