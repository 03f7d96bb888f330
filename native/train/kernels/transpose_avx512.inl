// to[i * width + j] = from[j * stride + i], 16 x 16 floats: 16 loads, 64 shuffles, 16 stores.
inline void transpose16(float* to, int64_t width, const float* from, int64_t stride) {
  __m512 a[16], b[16];
  for (int i = 0; i < 16; i++) a[i] = _mm512_loadu_ps(from + i * stride);
  for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
  }
  const auto pairs = [](__m512 x, __m512 y, bool high) {
    const __m512d p = _mm512_castps_pd(x), q = _mm512_castps_pd(y);
    return _mm512_castpd_ps(high ? _mm512_unpackhi_pd(p, q) : _mm512_unpacklo_pd(p, q));
  };
  for (int i = 0; i < 16; i += 4) {  // a[i + c]: column c of each group of four, rows i … i + 3
    a[i] = pairs(b[i], b[i + 2], false);
    a[i + 1] = pairs(b[i], b[i + 2], true);
    a[i + 2] = pairs(b[i + 1], b[i + 3], false);
    a[i + 3] = pairs(b[i + 1], b[i + 3], true);
  }
  for (int c = 0; c < 4; c++) {
    const __m512 low = _mm512_shuffle_f32x4(a[c], a[c + 4], 0x88), high = _mm512_shuffle_f32x4(a[c], a[c + 4], 0xdd);
    const __m512 low2 = _mm512_shuffle_f32x4(a[c + 8], a[c + 12], 0x88), high2 = _mm512_shuffle_f32x4(a[c + 8], a[c + 12], 0xdd);
    _mm512_storeu_ps(to + c * width, _mm512_shuffle_f32x4(low, low2, 0x88));
    _mm512_storeu_ps(to + (c + 8) * width, _mm512_shuffle_f32x4(low, low2, 0xdd));
    _mm512_storeu_ps(to + (c + 4) * width, _mm512_shuffle_f32x4(high, high2, 0x88));
    _mm512_storeu_ps(to + (c + 12) * width, _mm512_shuffle_f32x4(high, high2, 0xdd));
  }
}
