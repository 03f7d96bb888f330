// The clamped SwiGLU over rows of [gate | up] (the trainer keeps the two apart, not interleaved), and the loss at the end of
// the network.

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
