// The fastest loops of their kind that this ISA allows, on registers only (or streaming): ceilings, not kernels.
// Kinds: ProbeKind in probe.h.

inline int64_t probe_read(const uint8_t* data, int64_t bytes) {
  const float* p = reinterpret_cast<const float*>(data);
  Vec sum[4] = {Vec::zero(), Vec::zero(), Vec::zero(), Vec::zero()};
  for (int64_t i = 0; i + 64 <= bytes / 4; i += 64) {
    for (int j = 0; j < 4; j++) sum[j] = sum[j] + Vec::load(p + i + 16 * j);
  }
  volatile float sink = vsum(sum[0] + sum[1] + sum[2] + sum[3]);
  (void)sink;
  return bytes / 256 * 256;
}

inline int64_t probe_f32(int64_t iterations) {
  constexpr int n = kVecAccumulators > 12 ? 12 : kVecAccumulators;
  Vec sum[n];
  for (int j = 0; j < n; j++) sum[j] = Vec::zero();
  volatile float one = 1.0f;
  const Vec a = Vec::set(one), b = Vec::set(one);
  for (int64_t i = 0; i < iterations; i++) {
    for (int j = 0; j < n; j++) sum[j] = fma(a, b, sum[j]);
  }
  Vec all = sum[0];
  for (int j = 1; j < n; j++) all = all + sum[j];
  volatile float sink = vsum(all);
  (void)sink;
  return iterations * n * 16;
}

#if defined(GPTOSS_AMX)
// Products of whole tiles: 16 · 16 sums of 32 (64) products each.
template <class Multiply> inline void probe_tiles(int64_t iterations, Multiply multiply) {
  alignas(64) static const uint8_t ones[1024] = {};
  _tile_loadconfig(tiles::kTileShapes);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, ones, 64);
  _tile_loadd(5, ones, 64);
  for (int64_t i = 0; i < iterations; i++) multiply();
  _tile_release();
}
inline int64_t probe_bf16(int64_t iterations) {
  probe_tiles(iterations / 4, [] { _tile_dpbf16ps(0, 4, 5); _tile_dpbf16ps(1, 4, 5); _tile_dpbf16ps(2, 4, 5); _tile_dpbf16ps(3, 4, 5); });
  return iterations / 4 * 4 * 16 * 16 * 32;
}
inline int64_t probe_int8(int64_t iterations) {
  probe_tiles(iterations / 4, [] { _tile_dpbusd(0, 4, 5); _tile_dpbusd(1, 4, 5); _tile_dpbusd(2, 4, 5); _tile_dpbusd(3, 4, 5); });
  return iterations / 4 * 4 * 16 * 16 * 64;
}
#else
#if defined(__AVX512BF16__)
inline int64_t probe_bf16(int64_t iterations) {
  constexpr int n = 12;
  __m512 sum[n];
  for (int j = 0; j < n; j++) sum[j] = _mm512_setzero_ps();
  volatile int one = 0x3f803f80;
  const __m512i ones = _mm512_set1_epi32(one);
  const __m512bh a = (__m512bh)ones;
  for (int64_t i = 0; i < iterations; i++) {
    for (int j = 0; j < n; j++) sum[j] = _mm512_dpbf16_ps(sum[j], a, a);
  }
  for (int j = 1; j < n; j++) sum[0] = _mm512_add_ps(sum[0], sum[j]);
  volatile float sink = _mm512_cvtss_f32(sum[0]);
  (void)sink;
  return iterations * n * 32;
}
#elif defined(GPTOSS_NEON_I8MM)
inline int64_t probe_bf16(int64_t iterations) {
  constexpr int n = 12;
  float32x4_t sum[n];
  for (int j = 0; j < n; j++) sum[j] = vdupq_n_f32(0);
  volatile uint16_t one = 0x3f80;
  const bfloat16x8_t a = vreinterpretq_bf16_u16(vdupq_n_u16(one));
  for (int64_t i = 0; i < iterations; i++) {
    for (int j = 0; j < n; j++) sum[j] = vbfdotq_f32(sum[j], a, a);
  }
  for (int j = 1; j < n; j++) sum[0] = vaddq_f32(sum[0], sum[j]);
  volatile float sink = vaddvq_f32(sum[0]);
  (void)sink;
  return iterations * n * 8;
}
#else
inline int64_t probe_bf16(int64_t) { return 0; }
#endif

#if defined(__AVX512VNNI__)
inline int64_t probe_int8(int64_t iterations) {
  constexpr int n = 12;
  __m512i sum[n];
  for (int j = 0; j < n; j++) sum[j] = _mm512_setzero_si512();
  volatile int one = 0x01010101;
  const __m512i a = _mm512_set1_epi32(one), b = _mm512_set1_epi32(one);
  for (int64_t i = 0; i < iterations; i++) {
    for (int j = 0; j < n; j++) sum[j] = _mm512_dpbusd_epi32(sum[j], a, b);
  }
  for (int j = 1; j < n; j++) sum[0] = _mm512_add_epi32(sum[0], sum[j]);
  volatile int sink = _mm512_cvtsi512_si32(sum[0]);
  (void)sink;
  return iterations * n * 64;
}
#elif defined(GPTOSS_AVX_VNNI)
inline int64_t probe_int8(int64_t iterations) {
  constexpr int n = 12;
  __m256i sum[n];
  for (int j = 0; j < n; j++) sum[j] = _mm256_setzero_si256();
  volatile int one = 0x01010101;
  const __m256i a = _mm256_set1_epi32(one), b = _mm256_set1_epi32(one);
  for (int64_t i = 0; i < iterations; i++) {
    for (int j = 0; j < n; j++) sum[j] = _mm256_dpbusd_avx_epi32(sum[j], a, b);
  }
  for (int j = 1; j < n; j++) sum[0] = _mm256_add_epi32(sum[0], sum[j]);
  volatile int sink = _mm256_cvtsi256_si32(sum[0]);
  (void)sink;
  return iterations * n * 32;
}
#elif defined(__AVX2__)
inline int64_t probe_int8(int64_t iterations) {  // the pair of multiplies that stands in for a dot instruction
  constexpr int n = 8;
  __m256i sum[n];
  for (int j = 0; j < n; j++) sum[j] = _mm256_setzero_si256();
  volatile int one = 0x01010101;
  __m256i a = _mm256_set1_epi32(one);
  const __m256i ones = _mm256_set1_epi16(1);
  for (int64_t i = 0; i < iterations; i++) {
    for (int j = 0; j < n; j++) {
      const __m256i b = _mm256_xor_si256(a, sum[j]);  // not constant, so that nothing is hoisted
      sum[j] = _mm256_add_epi32(sum[j], _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
    }
  }
  for (int j = 1; j < n; j++) sum[0] = _mm256_add_epi32(sum[0], sum[j]);
  volatile int sink = _mm256_cvtsi256_si32(sum[0]);
  (void)sink;
  return iterations * n * 32;
}
#elif defined(__aarch64__) || defined(_M_ARM64)
#if defined(GPTOSS_INT8_KERNELS)
inline int64_t probe_int8(int64_t iterations) {
  constexpr int n = 12;
  int32x4_t sum[n];
  for (int j = 0; j < n; j++) sum[j] = vdupq_n_s32(0);
  volatile int8_t one = 1;
  const int8x16_t a = vdupq_n_s8(one);
  for (int64_t i = 0; i < iterations; i++) {
#ifdef GPTOSS_NEON_I8MM
    for (int j = 0; j < n; j++) sum[j] = vmmlaq_s32(sum[j], a, a);
#else
    for (int j = 0; j < n; j++) sum[j] = dot_bytes(sum[j], a, vreinterpretq_s8_s32(vorrq_s32(sum[j], vreinterpretq_s32_s8(a))));
#endif
  }
  for (int j = 1; j < n; j++) sum[0] = vaddq_s32(sum[0], sum[j]);
  volatile int32_t sink = vaddvq_s32(sum[0]);
  (void)sink;
#ifdef GPTOSS_NEON_I8MM
  return iterations * n * 32;
#else
  return iterations * n * 16;
#endif
}
#else
inline int64_t probe_int8(int64_t) { return 0; }
#endif
#else
inline int64_t probe_int8(int64_t) { return 0; }
#endif
#endif

int64_t probe(int32_t kind, const uint8_t* data, int64_t amount) {
  switch (kind) {
    case 0: return probe_read(data, amount);
    case 1: return probe_f32(amount);
    case 2: return probe_bf16(amount);
    case 3: return probe_int8(amount);
    default: return 0;
  }
}
