// The products of gemm.inl on AMX tiles, as exact as float32's own: every float32 is the sum of three bf16 values (8 bits of
// its 24 each, cut off, not rounded), and of the nine products of two such sums the six largest are taken; what is left out is
// below 2^-23 of |a b|. With GPTOSS_TRAIN_PARTS 1 factors are rounded to one bf16 instead, as mixed-precision training does
// (Micikevicius et al. 2018). tdpbf16ps adds products in float32. Tiles are 16 rows x 32 of k (A), 16 pairs of k x 16 columns (B).
// Each element of C is one chain over ascending k, cut in groups of 32 from k = 0, whatever its place: results do not depend on
// m and n. An infinity becomes NaN (it minus itself); subnormals count as zero.

constexpr int kParts = GPTOSS_TRAIN_PARTS, kGroups = 8, kDepth = 32 * kGroups, kColumns = 512;  // B's slice: 256 KB a part
constexpr int64_t kTile = 1024;                                                // bytes
constexpr int64_t kStrip = kGroups * kParts * kTile;                           // a tile's width of a slice: [group][part][tile]

// All eight tiles: 16 rows of 64 bytes. A constant, since g++ takes only the first eight bytes for read.
alignas(64) constexpr uint8_t kTileShapes[64] = {
    1,  0, 0,  0, 0,  0, 0,  0, 0,  0, 0,  0, 0,  0, 0,  0, 64, 0, 64, 0, 64, 0, 64, 0, 64, 0, 64, 0, 64, 0, 64, 0,
    0,  0, 0,  0, 0,  0, 0,  0, 0,  0, 0,  0, 0,  0, 0,  0, 16, 16, 16, 16, 16, 16, 16, 16};

inline __m512 upper(__m512 x) { return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(-65536))); }

// 32 values to the nearest bf16, x before y.
inline __m512i nearest(__m512 x, __m512 y) { return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(y, x)); }

// 16 rows of 32 values.
inline void pack_a(uint8_t* out, const float* from, int64_t stride) {
  alignas(64) static constexpr uint16_t odd[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
                                                   33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
  const __m512i order = _mm512_load_si512(odd);
  for (int r = 0; r < 16; r++) {
    __m512 x = _mm512_loadu_ps(from + r * stride), y = _mm512_loadu_ps(from + r * stride + 16);
    if (kParts == 1) {
      _mm512_store_si512(out + 64 * r, nearest(x, y));
      continue;
    }
    for (int p = 0; p < kParts; p++) {
      const __m512 u = upper(x), v = upper(y);
      _mm512_store_si512(out + p * kTile + 64 * r, _mm512_permutex2var_epi16(_mm512_castps_si512(u), order, _mm512_castps_si512(v)));
      x = _mm512_sub_ps(x, u);
      y = _mm512_sub_ps(y, v);
    }
  }
}

// 32 values of k, 16 columns: a lane holds the pair of a column.
inline void pack_b(uint8_t* out, const float* from, int64_t stride) {
  alignas(64) static constexpr uint16_t pairs[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                     8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i order = _mm512_load_si512(pairs);
  for (int k = 0; k < 16; k++) {
    __m512 x = _mm512_loadu_ps(from + 2 * k * stride), y = _mm512_loadu_ps(from + (2 * k + 1) * stride);
    if (kParts == 1) {
      _mm512_store_si512(out + 64 * k, _mm512_permutexvar_epi16(order, nearest(x, y)));
      continue;
    }
    for (int p = 0; p < kParts; p++) {
      const __m512 u = upper(x), v = upper(y);
      _mm512_store_si512(out + p * kTile + 64 * k, _mm512_or_si512(_mm512_srli_epi32(_mm512_castps_si512(u), 16), _mm512_castps_si512(v)));
      x = _mm512_sub_ps(x, u);
      y = _mm512_sub_ps(y, v);
    }
  }
}

// Which of the 16 lanes from `first` on lie below `count`.
inline __mmask16 below(int count, int first) {
  return count >= first + 16 ? 0xffff : count <= first ? 0 : static_cast<__mmask16>((1u << (count - first)) - 1);
}

// out[i * width + j] = from[i * i_stride + j * j_stride] for i < rows, j < columns, both cut to height x width; zero beyond
// them. Width is 16 or 32.
inline void copy_part(float* out, int width, int height, const float* from, int64_t i_stride, int64_t j_stride, int rows, int columns) {
  if (j_stride == 1) {
    for (int i = 0; i < height; i++) {
      for (int j = 0; j < width; j += 16) {
        _mm512_store_ps(out + i * width + j, _mm512_maskz_loadu_ps(i < rows ? below(columns, j) : 0, from + i * i_stride + j));
      }
    }
    return;
  }
  std::memset(out, 0, static_cast<size_t>(width * height) * 4);
  for (int j = 0; j < columns && j < width; j++) {
    const float* const column = from + j * j_stride;
    for (int i = 0; i < rows && i < height; i++) out[i * width + j] = column[i * i_stride];
  }
}

// Rows and columns of A and B that there are, from (r or n, k) on; what is beyond them counts as zero.
inline void pack_a_group(uint8_t* out, const float* a, int64_t a_row, int64_t a_k, int rows, int depth) {
  alignas(64) float copy[16 * 32];
  if (rows < 16 || depth < 32) copy_part(copy, 32, 16, a, a_row, a_k, rows, depth);
  else if (a_k == 1) return pack_a(out, a, a_row);
  else {
    transpose16(copy, 32, a, a_k);
    transpose16(copy + 16, 32, a + 16 * a_k, a_k);
  }
  pack_a(out, copy, 32);
}
inline void pack_b_group(uint8_t* out, const float* b, int64_t b_k, int64_t b_n, int depth, int columns) {
  alignas(64) float copy[32 * 16];
  if (columns < 16 || depth < 32) copy_part(copy, 16, 32, b, b_k, b_n, depth, columns);
  else if (b_n == 1) return pack_b(out, b, b_k);
  else {
    transpose16(copy, 16, b, b_n);
    transpose16(copy + 16 * 16, 16, b + 16, b_n);
  }
  pack_b(out, copy, 16);
}

// C[16 M, 16 N] (+)= A B over a slice: strips of A's tiles, strips of B's.
template <int M, int N> inline void tiles(float* c, int64_t ldc, const uint8_t* a, const uint8_t* b, int groups, bool load) {
  const int64_t row = ldc * 4;
  float* const c2 = c + 16 * ldc;
  __asm__ volatile("" : : : "memory");  // tile loads are not known to the compiler as reads of memory
  if (load) {
    _tile_loadd(0, c, row);
    if (N == 2) _tile_loadd(1, c + 16, row);
    if (M == 2) _tile_loadd(2, c2, row);
    if (M == 2 && N == 2) _tile_loadd(3, c2 + 16, row);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const auto take_a = [&](int part) {
    _tile_loadd(4, a + part * kTile, 64);
    if (M == 2) _tile_loadd(5, a + kStrip + part * kTile, 64);
  };
  const auto take_b = [&](int part) {
    _tile_loadd(6, b + part * kTile, 64);
    if (N == 2) _tile_loadd(7, b + kStrip + part * kTile, 64);
  };
  const auto multiply = [] {
    _tile_dpbf16ps(0, 4, 6);
    if (N == 2) _tile_dpbf16ps(1, 4, 7);
    if (M == 2) _tile_dpbf16ps(2, 5, 6);
    if (M == 2 && N == 2) _tile_dpbf16ps(3, 5, 7);
  };
  for (int g = 0; g < groups; g++, a += kParts * kTile, b += kParts * kTile) {  // in an order that loads one side at a time
    take_a(0);
    if (kParts == 1) {
      take_b(0);
      multiply();
      continue;
    }
    take_b(2);
    multiply();
    take_b(1);
    multiply();
    take_a(1);
    multiply();
    take_b(0);
    multiply();
    take_a(2);
    multiply();
    take_a(0);
    multiply();
  }
  _tile_stored(0, c, row);
  if (N == 2) _tile_stored(1, c + 16, row);
  if (M == 2) _tile_stored(2, c2, row);
  if (M == 2 && N == 2) _tile_stored(3, c2 + 16, row);
}

// rows and columns: up to 32.
inline void tiles_at(float* c, int64_t ldc, const uint8_t* a, const uint8_t* b, int rows, int columns, int groups, bool load) {
  alignas(64) float edge[32 * 32];
  float* to = c;
  int64_t stride = ldc;
  const bool whole = rows % 16 == 0 && columns % 16 == 0;
  if (!whole) {
    to = edge;
    stride = 32;
    if (load) copy_part(edge, 32, 32, c, ldc, 1, rows, columns);
  }
  if (rows > 16) {
    if (columns > 16) tiles<2, 2>(to, stride, a, b, groups, load);
    else tiles<2, 1>(to, stride, a, b, groups, load);
  } else if (columns > 16) tiles<1, 2>(to, stride, a, b, groups, load);
  else tiles<1, 1>(to, stride, a, b, groups, load);
  if (whole) return;
  for (int r = 0; r < rows; r++) {
    for (int n = 0; n < columns; n += 16) _mm512_mask_storeu_ps(c + r * ldc + n, below(columns, n), _mm512_load_ps(edge + r * 32 + n));
  }
}

int64_t gemm_scratch(int32_t) { return (kColumns / 16 + 2) * kStrip / 4 + 16; }

void gemm(const Gemm& g) {
  uint8_t* const panel = reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(g.scratch) + 63) / 64 * 64);
  uint8_t* const strips = panel + kColumns / 16 * kStrip;
  if (!g.add && (g.k == 0 || g.bias != nullptr)) {
    for (int32_t r = 0; r < g.m; r++) {
      for (int32_t n = 0; n < g.n; n++) g.c[r * g.ldc + n] = g.bias != nullptr ? g.bias[n] : 0.0f;
    }
  }
  _tile_loadconfig(kTileShapes);
  for (int32_t k0 = 0; k0 < g.k; k0 += kDepth) {
    const int32_t depth = g.k - k0 < kDepth ? g.k - k0 : kDepth, groups = (depth + 31) / 32;
    const bool load = g.add || g.bias != nullptr || k0 > 0;
    for (int32_t n0 = 0; n0 < g.n; n0 += kColumns) {
      const int32_t columns = g.n - n0 < kColumns ? g.n - n0 : kColumns;
      for (int32_t n = 0; n < columns; n += 16) {
        for (int32_t i = 0; i < groups; i++) {
          pack_b_group(panel + n / 16 * kStrip + i * kParts * kTile, g.b + (n0 + n) * g.b_n + (k0 + 32 * i) * g.b_k, g.b_k, g.b_n,
                       depth - 32 * i, columns - n);
        }
      }
      for (int32_t r = 0; r < g.m; r += 32) {
        const int32_t rows = g.m - r < 32 ? g.m - r : 32;
        for (int32_t s = 0; s < rows; s += 16) {
          for (int32_t i = 0; i < groups; i++) {
            pack_a_group(strips + s / 16 * kStrip + i * kParts * kTile, g.a + (r + s) * g.a_row + (k0 + 32 * i) * g.a_k, g.a_row,
                         g.a_k, rows - s, depth - 32 * i);
          }
        }
        for (int32_t n = 0; n < columns; n += 32) {
          tiles_at(g.c + r * g.ldc + n0 + n, g.ldc, strips, panel + n / 16 * kStrip, rows, columns - n < 32 ? columns - n : 32, groups,
                   load);
        }
      }
    }
  }
  _tile_release();
}
