// The clamped SwiGLU over rows of [gate | up] (the trainer keeps the two apart, not interleaved), the loss at the end of the
// network, and the rounding of experts to MXFP4.

void swiglu(float* h, const float* u, int32_t rows, int32_t inner, float alpha, float limit) {
  const Vec most = Vec::set(limit), least = Vec::set(-limit), steep = Vec::set(-alpha), one = Vec::set(1.0f);
  for (int64_t r = 0; r < rows; r++) {
    const float* gates = u + r * 2 * inner;
    for (int32_t i = 0; i < inner; i += 16) {
      const int32_t n = inner - i;
      const Vec g = vmin(load_part(gates + i, n), most);
      const Vec x = vmax(vmin(load_part(gates + inner + i, n), most), least);
      const Vec s = vdivide(one, one + vexp(steep * g));
      store_part((x + one) * (g * s), h + r * inner + i, n);
    }
  }
}

// Zero where a limit holds the value; at the limit itself the gradient passes, as in the reference.
void swiglu_back(float* du, const float* u, const float* dh, const float* scale, int32_t rows, int32_t inner, float alpha,
                 float limit) {
  const Vec most = Vec::set(limit), least = Vec::set(-limit), steep = Vec::set(-alpha), one = Vec::set(1.0f), slope = Vec::set(alpha);
  for (int64_t r = 0; r < rows; r++) {
    const float* gates = u + r * 2 * inner;
    float* out = du + r * 2 * inner;
    const Vec by = Vec::set(scale == nullptr ? 1.0f : scale[r]);
    for (int32_t i = 0; i < inner; i += 16) {
      const int32_t n = inner - i;
      const Vec gate = load_part(gates + i, n), up = load_part(gates + inner + i, n);
      const Vec g = vmin(gate, most), x = vmax(vmin(up, most), least);
      const Vec s = vdivide(one, one + vexp(steep * g));
      const Vec d = load_part(dh + r * inner + i, n) * by;
      float dg[16], dx[16], raw_gate[16], raw_up[16];
      (d * (x + one) * fma(slope * g * s, one - s, s)).store(dg);
      (d * g * s).store(dx);
      gate.store(raw_gate);
      up.store(raw_up);
      for (int l = 0; l < 16; l++) {
        dg[l] = raw_gate[l] > limit ? 0.0f : dg[l];
        dx[l] = raw_up[l] > limit || raw_up[l] < -limit ? 0.0f : dx[l];
      }
      store_part(Vec::load(dg), out + i, n);
      store_part(Vec::load(dx), out + inner + i, n);
    }
  }
}

void cross_entropy(float* logits, const int32_t* targets, const float* weights, float* logp, float* entropy, int32_t rows,
                   int32_t vocab) {
  for (int64_t r = 0; r < rows; r++) {
    float* x = logits + r * vocab;
    const int32_t target = targets[r];
    const float most = largest(x, vocab);
    const Vec shift = Vec::set(-most);
    const float wanted = x[target] - most;
    double sum = 0, along = 0;  // Σ e^(x - most), Σ e^(x - most) (x - most)
    for (int32_t i = 0; i < vocab; i += 1024) {  // float32 sums of short runs
      const int32_t end = i + 1024 < vocab ? i + 1024 : vocab;
      Vec sums = Vec::zero(), alongs = Vec::zero();
      for (int32_t j = i; j < end; j += 16) {
        const int32_t n = end - j;
        const Vec d = n >= 16 ? Vec::load(x + j) + shift : load_part(x + j, n) + shift;
        store_part(vexp(d), x + j, n);
        const Vec e = load_part(x + j, n);
        sums = sums + e;
        alongs = fma(e, d, alongs);
      }
      sum += static_cast<double>(vsum(sums));
      along += static_cast<double>(vsum(alongs));
    }
    const double log_sum = std::log(sum);
    logp[r] = static_cast<float>(static_cast<double>(wanted) - log_sum);
    entropy[r] = static_cast<float>(log_sum - along / sum);
    const float weight = weights[r];
    const Vec scale = Vec::set(static_cast<float>(static_cast<double>(weight) / sum));
    for (int32_t i = 0; i < vocab; i += 16) store_part(load_part(x + i, vocab - i) * scale, x + i, vocab - i);
    x[target] -= weight;
  }
}

// Halfway values go to the even code; as nearestCode in src/formats/mxfp4.ts.
inline float nearest_fp4(double magnitude) {
  if (magnitude <= 0.25) return 0.0f;
  if (magnitude < 0.75) return 0.5f;
  if (magnitude <= 1.25) return 1.0f;
  if (magnitude < 1.75) return 1.5f;
  if (magnitude <= 2.5) return 2.0f;
  if (magnitude < 3.5) return 3.0f;
  if (magnitude <= 5) return 4.0f;
  return 6.0f;
}

inline double power_of_two(int exponent) {  // exact for -127 … 127, as in JavaScript's 2 ** n
  uint64_t bits = static_cast<uint64_t>(exponent + 1023) << 52;
  double d;
  std::memcpy(&d, &bits, 8);
  return d;
}

inline double squared_error(const float* x, int scale) {
  const double unit = power_of_two(scale - 127), inverse = power_of_two(127 - scale);
  double sum = 0;
  for (int i = 0; i < 32; i++) {
    const double magnitude = x[i] < 0 ? -static_cast<double>(x[i]) : static_cast<double>(x[i]);
    const double difference = magnitude - static_cast<double>(nearest_fp4(magnitude * inverse)) * unit;
    sum += difference * difference;
  }
  return sum;
}

void fake_quantise(float* y, const float* x, int64_t groups) {
  for (int64_t group = 0; group < groups; group++, x += 32, y += 32) {
    float largest = 0;
    for (int i = 0; i < 32; i++) {
      const float magnitude = x[i] < 0 ? -x[i] : x[i];
      largest = magnitude > largest ? magnitude : largest;
    }
    int best = 0;
    if (largest > 0) {
      uint32_t bits;
      std::memcpy(&bits, &largest, 4);
      const int exponent = static_cast<int>(bits >> 23) - 127;  // subnormal: limited to 0 below in any case
      best = exponent - 2 + 127;
      best = best < 0 ? 0 : best > 254 ? 254 : best;
    }
    const int usual = best;
    double least = squared_error(x, usual);
    for (int scale = usual - 1; scale <= usual + 1; scale += 2) {
      if (scale < 0 || scale > 254) continue;
      const double error = squared_error(x, scale);
      if (error < least) {
        least = error;
        best = scale;
      }
    }
    const double unit = power_of_two(best - 127), inverse = power_of_two(127 - best);
    for (int i = 0; i < 32; i++) {
      const bool negative = std::signbit(x[i]);
      const double magnitude = negative ? -static_cast<double>(x[i]) : static_cast<double>(x[i]);
      const float value = static_cast<float>(static_cast<double>(nearest_fp4(magnitude * inverse)) * unit);
      y[i] = negative ? -value : value;
    }
  }
}
