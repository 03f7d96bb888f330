// Matrix products by AMX: weights of any type are decoded to bf16 with their scales multiplied in (MXFP4 exactly, the
// others rounded once), activations are bf16 too, and tdpbf16ps sums them in float32 over all of k without a scale on the
// way. That is slower by half than its int8 sister at best, but nothing has to be done between groups, and both roundings
// are finer than int8 activations'. A tile is 16 tokens × 32 values (A), 16 pairs of values × 16 rows (B), 16 tokens × 16
// rows of sums (C). Two tiles of tokens times two of rows keep the unit busy: 16 cycles for each product, four in flight.
// Next: int8.inl.

constexpr int32_t kPanelRows = 32, kPanelTokens = 16, kInt8ItemTokens = 16 * kPanelTokens;  // activations of an item stay in level 2
constexpr int32_t kPanelGroups = 8;  // groups decoded at a time: 16 KB, which stay in level 1

// A decoded chunk of weights: tiles of 16 rows, [pair of k][row][k of the pair].
struct WeightPanel {
  alignas(64) uint16_t values[kPanelGroups][2][16][16][2];
};

// A panel of tokens: [group][token][32], a tile for each group.
constexpr size_t kTileBytes = 1024;
inline size_t panel_bytes(const Matrix& m) { return static_cast<size_t>(m.cols / 32) * kTileBytes; }

inline bool gemm_serves(const Matrix& m, const Int8Form&) { return m.cols % 32 == 0; }

inline void make_panel(const Matrix& m, const Int8Form&, const float* const* x, int32_t tokens, uint8_t* out) {
  // GGUF's MXFP4 bytes hold elements i and i + 16 of a group: they stay pairs.
  const bool halves = m.dtype == DType::MXFP4;
  const int32_t groups = m.cols / 32;
  for (int32_t t = 0; t < kPanelTokens; t++) {
    for (int32_t g = 0; g < groups; g++) {
      uint16_t* to = reinterpret_cast<uint16_t*>(out + g * kTileBytes) + t * 32;
      if (t >= tokens) {
        _mm512_store_si512(to, _mm512_setzero_si512());
        continue;
      }
      const Vec a = Vec::load(x[t] + 32 * g), b = Vec::load(x[t] + 32 * g + 16);
      if (halves) store_pairs(a, b, to);
      else store_bf16(a, b, to);
    }
  }
}

// ---- weights to bf16 -------------------------------------------------------------------------------------------------

// Lines of this worker's next tile, to the level 2 cache: level 1 is full.
struct NextTile {
  const uint8_t* p;
  int64_t length, stride;
  int32_t row = 0;
  inline void fetch_row() {  // one of its rows
    if (row >= kPanelRows) return;
    const uint8_t* at = p + row++ * stride;
    for (int64_t i = 0; i < length; i += 64) _mm_prefetch(reinterpret_cast<const char*>(at + i), _MM_HINT_T1);
  }
};

// FP4 values times 2^63 as bf16, from which a scale's distance to 2^63 is subtracted in the exponent's place; subtraction
// that stops at zero keeps zeros. Scales from 2^-63 to 2^63.
inline __m512i fp4_bf16_table() {
  alignas(64) static const uint16_t values[32] = {
      0, 0x5e80, 0x5f00, 0x5f40, 0x5f80, 0x5fc0, 0x6000, 0x6040, 0, 0xde80, 0xdf00, 0xdf40, 0xdf80, 0xdfc0, 0xe000, 0xe040,
      0, 0x5e80, 0x5f00, 0x5f40, 0x5f80, 0x5fc0, 0x6000, 0x6040, 0, 0xde80, 0xdf00, 0xdf40, 0xdf80, 0xdfc0, 0xe000, 0xe040};
  return _mm512_load_si512(values);
}

// 16 rows of 16 bytes, `down` as above for each row.
inline void pack_nibbles(const uint8_t* p, int64_t stride, __m512i down, uint16_t* out) {
  const __m512i table = fp4_bf16_table();
  const Dwords16 t = transpose16(p, stride);
  // Byte b of each dword: its low nibble to bits 0 … 3 of the low word, its high nibble to those of the high word; a word's
  // other bits do not count, since the table is there twice.
  const __m512i select = _mm512_set1_epi64(0x0024'0020'0004'0000);
  for (int j = 0; j < 4; j++)
    for (int b = 0; b < 4; b++) {
      const __m512i index = _mm512_multishift_epi64_epi8(_mm512_add_epi8(select, _mm512_set1_epi8(static_cast<char>(8 * b))), t.d[j]);
      _mm512_store_si512(out + (4 * j + b) * 32, _mm512_subs_epu16(_mm512_permutexvar_epi16(index, table), down));
    }
}

inline void pack_mxfp4(bool split, const TileRows& t, int32_t g0, int32_t n, NextTile& next, WeightPanel& w) {
  alignas(64) uint32_t four[kPanelRows];  // scale bytes of four groups of each row
  const int64_t size = split ? 16 : 17;
  for (int32_t g = 0; g < n; g++) {
    const uint8_t* p = t.base + (g0 + g) * size + (split ? 0 : 1);
    if ((g & 3) == 0) {
      const int32_t count = n - g < 4 ? n - g : 4;
      if (!split && count == 4) {
        const __m512i index = _mm512_castsi128_si512(_mm_setr_epi8(0, 17, 34, 51, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
        for (int32_t r = 0; r < kPanelRows; r++) {
          const __m512i e = _mm512_permutexvar_epi8(index, _mm512_loadu_si512(p - 1 + r * t.stride));
          four[r] = static_cast<uint32_t>(_mm_cvtsi128_si32(_mm512_castsi512_si128(e)));
        }
      } else {
        for (int32_t r = 0; r < kPanelRows; r++)
          for (int32_t i = 0; i < count; i++) {
            reinterpret_cast<uint8_t*>(four + r)[i] = split ? t.scales[r * t.scale_stride + g0 + g + i] : p[r * t.stride + 17 * i - 1];
          }
      }
    }
    for (int h = 0; h < 2; h++) {
      __m512i e = _mm512_load_si512(four + 16 * h);
      e = _mm512_min_epu8(_mm512_max_epu8(e, _mm512_set1_epi8(64)), _mm512_set1_epi8(static_cast<char>(190)));
      e = _mm512_and_si512(_mm512_srl_epi32(_mm512_sub_epi8(_mm512_set1_epi8(static_cast<char>(190)), e), _mm_cvtsi32_si128(8 * (g & 3))), _mm512_set1_epi32(0xff));
      const __m512i down = _mm512_or_si512(_mm512_slli_epi32(e, 7), _mm512_slli_epi32(e, 23));
      pack_nibbles(p + 16 * h * t.stride, t.stride, down, &w.values[g][h][0][0][0]);
    }
    if (g % 3 == 0) next.fetch_row();
  }
}

// Byte pairs of 16 rows times the rows' scales, rounded to bf16.
inline void pack_bytes(__m512i d, __m512 scale, uint16_t* out) {
  const __m512i half = _mm512_set1_epi32(0x8000);
  auto value = [&](__m512i x) { return _mm512_add_epi32(_mm512_castps_si512(_mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_srai_epi32(x, 24)), scale)), half); };
  const __m512i v0 = value(_mm512_slli_epi32(d, 24)), v1 = value(_mm512_slli_epi32(d, 16)), v2 = value(_mm512_slli_epi32(d, 8)), v3 = value(d);
  _mm512_store_si512(out, _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(v0, 16), v1));
  _mm512_store_si512(out + 32, _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(v2, 16), v3));
}
inline void pack_q8(const TileRows& t, int32_t g0, int32_t n, NextTile& next, WeightPanel& w) {
  for (int32_t g = 0; g < n; g++) {
    const uint8_t* p = t.base + static_cast<int64_t>(g0 + g) * 34;
    alignas(64) uint16_t halves[kPanelRows];
    for (int32_t r = 0; r < kPanelRows; r++) std::memcpy(halves + r, p + r * t.stride, 2);
    for (int32_t h = 0; h < 2; h++) {
      const __m512 scale = load_f16(halves + 16 * h).v;
      for (int32_t half = 0; half < 2; half++) {
        const Dwords16 d = transpose16(p + 2 + 16 * half + 16 * h * t.stride, t.stride);
        for (int j = 0; j < 4; j++) pack_bytes(d.d[j], scale, w.values[g][h][8 * half + 2 * j][0]);
      }
    }
    if (g % 3 == 0) next.fetch_row();
  }
}

inline void pack_bf16(const TileRows& t, int32_t g0, int32_t n, NextTile& next, WeightPanel& w) {
  for (int32_t g = 0; g < n; g++) {
    for (int32_t h = 0; h < 2; h++) {
      for (int32_t quarter = 0; quarter < 4; quarter++) {
        const Dwords16 d = transpose16(t.base + 64 * static_cast<int64_t>(g0 + g) + 16 * quarter + 16 * h * t.stride, t.stride);
        for (int j = 0; j < 4; j++) _mm512_store_si512(w.values[g][h][4 * quarter + j], d.d[j]);
      }
    }
    if (g % 3 == 0) next.fetch_row();
  }
}

// Row by row: types without a packer of their own, and tiles of fewer than 32 rows (the rest is zero).
inline void pack_any(const Matrix& m, int32_t expert, int32_t row0, int32_t rows, int32_t g0, int32_t n, WeightPanel& w) {
  if (rows < kPanelRows) std::memset(&w, 0, sizeof(w));
  const bool halves = m.dtype == DType::MXFP4;
  const int32_t values = group_size(m.dtype).values, unit = values > 32 ? values / 32 : 1;  // groups that are decoded together
  const __m512i to = _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), _mm512_set1_epi32(16));
  for (int32_t r = 0; r < rows; r++) {
    for (int32_t g = 0; g < n; g += unit) {
      float decoded[256];
      decode_span(m, expert, row0 + r, 32 * (g0 + g), 32 * unit, decoded);
      for (int32_t i = 0; i < unit; i++) {
        alignas(64) uint16_t rounded[32];
        const Vec a = Vec::load(decoded + 32 * i), b = Vec::load(decoded + 32 * i + 16);
        if (halves) store_pairs(a, b, rounded);
        else store_bf16(a, b, rounded);
        _mm512_i32scatter_epi32(w.values[g + i][r / 16][0][r % 16], to, _mm512_load_si512(rounded), 4);
      }
    }
  }
}

// ---- products --------------------------------------------------------------------------------------------------------

// All eight tiles: 16 rows of 64 bytes. A constant, since g++ takes only the first eight bytes for read.
alignas(64) constexpr uint8_t kTileShapes[64] = {
    1,  0, 0,  0, 0,  0, 0,  0, 0,  0, 0,  0, 0,  0, 0,  0, 64, 0, 64, 0, 64, 0, 64, 0, 64, 0, 64, 0, 64, 0, 64, 0,
    0,  0, 0,  0, 0,  0, 0,  0, 0,  0, 0,  0, 0,  0, 0,  0, 16, 16, 16, 16, 16, 16, 16, 16};
// Tile loads are not known to the compiler as reads of memory: what they read must be written before this.
inline void settle_memory() { __asm__ volatile("" : : : "memory"); }

// acc[token][32 rows] (+)= panel · one or two tiles of tokens.
template <int Tiles>
inline void gemm_tiles(const WeightPanel& w, const uint8_t* a, size_t panel, int32_t groups, bool first, NextTile& next, float* acc) {
  constexpr int64_t step = kPanelRows * sizeof(float);
  float* const second = acc + 16 * kPanelRows;
  if (first) {
    _tile_zero(0);
    _tile_zero(1);
    if (Tiles == 2) _tile_zero(2);
    if (Tiles == 2) _tile_zero(3);
  } else {
    _tile_loadd(0, acc, step);
    _tile_loadd(1, acc + 16, step);
    if (Tiles == 2) _tile_loadd(2, second, step);
    if (Tiles == 2) _tile_loadd(3, second + 16, step);
  }
  for (int32_t g = 0; g < groups; g++, a += kTileBytes) {
    _tile_loadd(4, a, 64);
    _tile_loadd(6, w.values[g][0], 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, w.values[g][1], 64);
    _tile_dpbf16ps(1, 4, 7);
    if (Tiles == 2) {
      _tile_loadd(5, a + panel, 64);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  next.fetch_row();
  _tile_stored(0, acc, step);
  _tile_stored(1, acc + 16, step);
  if (Tiles == 2) _tile_stored(2, second, step);
  if (Tiles == 2) _tile_stored(3, second + 16, step);
}

// `panels`: the tokens' panels, 16 to each, panel_bytes apart. `next`: first row of this worker's next tile. acc has room
// for whole panels.
inline void gemm_int8(WeightPanel& w, const Matrix& m, const Int8Form&, int32_t expert, int32_t row0, int32_t rows, int32_t tokens,
                      const uint8_t* panels, const uint8_t* next, float* acc) {
  const bool split = m.dtype == DType::MXFP4_SPLIT, whole = rows == kPanelRows && m.col_stride == 0;
  const TileRows tile{row_bytes(m, expert, row0), split ? row_scales(m, expert, row0) : nullptr, m.row_stride, m.scale_row_stride, rows};
  const size_t panel = panel_bytes(m);
  const int32_t groups = m.cols / 32;
  NextTile ahead{next, m.col_stride == 0 ? row_length(m) : 0, m.row_stride};
  _tile_loadconfig(kTileShapes);
  for (int32_t g0 = 0; g0 < groups; g0 += kPanelGroups) {
    const int32_t n = groups - g0 < kPanelGroups ? groups - g0 : kPanelGroups;
    if (whole && (m.dtype == DType::MXFP4 || m.dtype == DType::MXFP4_PAIRS || split)) pack_mxfp4(split, tile, g0, n, ahead, w);
    else if (whole && m.dtype == DType::Q8_0) pack_q8(tile, g0, n, ahead, w);
    else if (whole && m.dtype == DType::BF16) pack_bf16(tile, g0, n, ahead, w);
    else pack_any(m, expert, row0, rows, g0, n, w);
    settle_memory();
    const uint8_t* a = panels + g0 * kTileBytes;
    for (int32_t t = 0; t < tokens; t += 32, a += 2 * panel) {
      if (tokens - t > 16) gemm_tiles<2>(w, a, panel, n, g0 == 0, ahead, acc + t * kPanelRows);
      else gemm_tiles<1>(w, a, panel, n, g0 == 0, ahead, acc + t * kPanelRows);
    }
  }
  _tile_release();
}
