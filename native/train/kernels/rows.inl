// Row-wise ops and their derivatives: norm, rotary positions, gather and combine, column sums; and the optimiser's loops.

// Only the optimiser takes roots, so this stays out of vec_*.h.
inline Vec vsqrt(Vec x) {
#if defined(__AVX512F__)
  return {_mm512_sqrt_ps(x.v)};
#elif defined(__AVX2__)
  return {_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)};
#elif defined(GPTOSS_VEC_NEON)
  return {vsqrtq_f32(x.a), vsqrtq_f32(x.b), vsqrtq_f32(x.c), vsqrtq_f32(x.d)};
#else
  for (int i = 0; i < 16; i++) x.lane[i] = std::sqrt(x.lane[i]);
  return x;
#endif
}

inline Vec load_part(const float* p, int64_t n) {
  if (n >= 16) return Vec::load(p);
  float lanes[16] = {};
  for (int64_t i = 0; i < n; i++) lanes[i] = p[i];
  return Vec::load(lanes);
}
inline void store_part(Vec v, float* p, int64_t n) {
  if (n >= 16) return v.store(p);
  float lanes[16];
  v.store(lanes);
  for (int64_t i = 0; i < n; i++) p[i] = lanes[i];
}

// Largest of n >= 1 values; with a NaN among them, any.
inline float largest(const float* x, int32_t n) {
  float most = x[0];
  int32_t i = 0;
  if (n >= 16) {
    Vec lanes = Vec::load(x);
    for (i = 16; i + 16 <= n; i += 16) lanes = vmax(lanes, Vec::load(x + i));
    most = vmaximum(lanes);
  }
  for (; i < n; i++) most = x[i] > most ? x[i] : most;
  return most;
}

float dot(const float* a, const float* b, int32_t n) {
  Vec sum = Vec::zero();
  for (int32_t i = 0; i < n; i += 16) sum = fma(load_part(a + i, n - i), load_part(b + i, n - i), sum);
  return vsum(sum);
}

void rms_norm(float* y, const float* x, const float* gain, int32_t rows, int32_t width, float eps) {
  for (int64_t r = 0; r < rows; r++) {
    const float* from = x + r * width;
    float* to = y + r * width;
    const Vec scale = Vec::set(1.0f / std::sqrt(dot(from, from, width) / static_cast<float>(width) + eps));
    for (int32_t i = 0; i < width; i += 16) {
      const int32_t n = width - i;
      store_part(load_part(from + i, n) * scale * load_part(gain + i, n), to + i, n);
    }
  }
}

// With s = 1/rms: dx += s (dy gain) - x s³/n Σ(dy gain x); dgain += Σ dy x s.
void rms_norm_back(float* dx, float* dgain, const float* dy, const float* x, const float* gain, int32_t rows, int32_t width,
                   float eps) {
  for (int64_t r = 0; r < rows; r++) {
    const float* in = x + r * width;
    const float* out = dy + r * width;
    float* to = dx + r * width;
    Vec squares = Vec::zero(), along = Vec::zero();
    for (int32_t i = 0; i < width; i += 16) {
      const int32_t n = width - i;
      const Vec a = load_part(in + i, n);
      squares = fma(a, a, squares);
      along = fma(load_part(out + i, n) * load_part(gain + i, n), a, along);
    }
    const float s = 1.0f / std::sqrt(vsum(squares) / static_cast<float>(width) + eps);
    const Vec scale = Vec::set(s), back = Vec::set(-s * s * s / static_cast<float>(width) * vsum(along));
    for (int32_t i = 0; i < width; i += 16) {
      const int32_t n = width - i;
      const Vec a = load_part(in + i, n), d = load_part(out + i, n);
      const Vec value = fma(a, back, d * load_part(gain + i, n) * scale);
      store_part(load_part(to + i, n) + value, to + i, n);
      store_part(fma(d * scale, a, load_part(dgain + i, n)), dgain + i, n);
    }
  }
}

void rope(float* x, int64_t stride, int32_t heads, int32_t head_dim, const float* angles, const int32_t* positions,
          int32_t rows, bool back) {
  const int32_t half = head_dim / 2;
  const Vec sign = Vec::set(back ? -1.0f : 1.0f);
  for (int64_t r = 0; r < rows; r++) {
    const float* cosines = angles + static_cast<int64_t>(positions[r]) * head_dim;
    for (int32_t h = 0; h < heads; h++) {
      float* head = x + r * stride + h * head_dim;
      for (int32_t i = 0; i < half; i += 16) {
        const int32_t n = half - i;
        const Vec c = load_part(cosines + i, n), s = load_part(cosines + half + i, n) * sign;
        const Vec a = load_part(head + i, n), b = load_part(head + half + i, n);
        store_part(a * c - b * s, head + i, n);
        store_part(b * c + a * s, head + half + i, n);
      }
    }
  }
}

void gather(float* y, const float* x, const int32_t* index, int32_t rows, int32_t width) {
  for (int64_t r = 0; r < rows; r++) {
    std::memcpy(y + r * width, x + static_cast<int64_t>(index[r]) * width, static_cast<size_t>(width) * 4);
  }
}

void combine(float* y, const float* x, const int32_t* slots, const float* scale, int32_t rows, int32_t k, int32_t width,
             bool add) {
  for (int64_t r = 0; r < rows; r++) {
    float* to = y + r * width;
    for (int32_t i = 0; i < width; i += 16) {
      const int32_t n = width - i;
      Vec sum = add ? load_part(to + i, n) : Vec::zero();
      for (int32_t j = 0; j < k; j++) {
        const Vec part = load_part(x + static_cast<int64_t>(slots[r * k + j]) * width + i, n);
        sum = scale == nullptr ? sum + part : fma(part, Vec::set(scale[r * k + j]), sum);
      }
      store_part(sum, to + i, n);
    }
  }
}

void scale_rows(float* y, const float* x, const float* scale, int32_t rows, int32_t width) {
  for (int64_t r = 0; r < rows; r++) {
    const Vec s = Vec::set(scale[r]);
    for (int32_t i = 0; i < width; i += 16) {
      store_part(load_part(x + r * width + i, width - i) * s, y + r * width + i, width - i);
    }
  }
}

void column_sums(float* db, const float* dy, const float* scale, int32_t rows, int32_t width) {
  for (int32_t i = 0; i < width; i += 16) {
    const int32_t n = width - i;
    Vec sum = Vec::zero();
    for (int64_t r = 0; r < rows; r++) {
      const Vec part = load_part(dy + r * width + i, n);
      sum = scale == nullptr ? sum + part : fma(part, Vec::set(scale[r]), sum);
    }
    store_part(load_part(db + i, n) + sum, db + i, n);
  }
}

void add(float* y, const float* x, int64_t count) {
  for (int64_t i = 0; i < count; i += 16) store_part(load_part(y + i, count - i) + load_part(x + i, count - i), y + i, count - i);
}

double squares(const float* x, int64_t count) {
  constexpr int64_t kRun = 4096;  // float32 sums of short runs, then float64
  double all = 0;
  for (int64_t i = 0; i < count; i += kRun) {
    const int64_t end = i + kRun < count ? i + kRun : count;
    Vec sum[4] = {Vec::zero(), Vec::zero(), Vec::zero(), Vec::zero()};
    for (int64_t j = i; j < end; j += 64) {
      for (int v = 0; v < 4; v++) {
        if (j + 16 * v >= end) break;
        const Vec a = load_part(x + j + 16 * v, end - j - 16 * v);
        sum[v] = fma(a, a, sum[v]);
      }
    }
    all += static_cast<double>(vsum(sum[0] + sum[1] + sum[2] + sum[3]));
  }
  return all;
}

void adamw(float* values, const float* gradient, float* first, float* second, int64_t count, const AdamWStep& s) {
  const Vec kept = Vec::set(1.0f - s.learning_rate * s.decay), rate = Vec::set(s.learning_rate);
  const Vec b1 = Vec::set(s.beta1), b2 = Vec::set(s.beta2), n1 = Vec::set(1.0f - s.beta1), n2 = Vec::set(1.0f - s.beta2);
  const Vec scale = Vec::set(s.scale), eps = Vec::set(s.eps);
  const Vec c1 = Vec::set(1.0f / s.correction1), c2 = Vec::set(1.0f / s.correction2);
  for (int64_t i = 0; i < count; i += 16) {
    const int64_t n = count - i;
    const Vec g = load_part(gradient + i, n) * scale;
    const Vec m = fma(b1, load_part(first + i, n), n1 * g);
    const Vec v = fma(b2, load_part(second + i, n), n2 * g * g);
    store_part(m, first + i, n);
    store_part(v, second + i, n);
    const Vec change = vdivide(m * c1, vsqrt(v * c2) + eps);
    store_part(load_part(values + i, n) * kept - rate * change, values + i, n);
  }
}
