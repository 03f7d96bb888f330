// What `fast` does to activations and weights before an integer dot product: activations become int8 per group of 32
// values with scale amax/127; weights become unsigned bytes u = value / scale + offset, so that
//   Σ w·x = scale_w · scale_x · (Σ u·q − offset · Σ q)   (+ min_w · scale_x · Σ q for the types with a minimum).
// The second term needs only Σ q, which is summed once per group: no sign handling in the inner loops.
// Next: int8_vnni.inl, int8_avx2.inl.

// Rows of weights that one worker takes at a time where few tokens meet them: memory is read fastest in long pieces.
constexpr int32_t kRowTile = 128;

inline int32_t tiles_of(int32_t n, int32_t size) { return (n + size - 1) / size; }

// How a weight type enters the integer kernels; `served` false: it takes the float path.
struct Int8Form {
  bool served;
  bool pairs;      // a 16-byte half holds every second value: activations are stored evens first, then odds
  bool min;        // u has offset 0 and the type has a minimum per group
  int32_t offset;
  float factor;    // goes into the activations' scale: FP4 values are doubled
};
inline Int8Form int8_form(const Matrix& m) {
  if (m.col_stride != 0) return {false, false, false, 0, 1};
  switch (m.dtype) {
    case DType::MXFP4: return {true, false, false, 12, 0.5f};
    case DType::MXFP4_PAIRS: case DType::MXFP4_SPLIT: return {true, true, false, 12, 0.5f};
    case DType::Q8_0: case DType::IQ4_NL: return {true, false, false, 128, 1};
    case DType::Q4_0: return {true, false, false, 8, 1};
    case DType::Q5_0: return {true, false, false, 16, 1};
    case DType::Q4_1: case DType::Q5_1: case DType::Q4_K: case DType::Q5_K: return {true, false, true, 0, 1};
    default: return {false, false, false, 0, 1};
  }
}

struct Quantised {
  float scale;
  int32_t sum;  // Σ q
};

// One group: 32 values to int8 at q, in order.
inline Quantised quantise_group(const float* x, int8_t* q) {
  const Vec a = Vec::load(x), b = Vec::load(x + 16), zero = Vec::zero();
  const float most = vmaximum(vmax(vmax(a, zero - a), vmax(b, zero - b)));
  const Vec inverse = Vec::set(most > 0 ? 127.0f / most : 0.0f);
  return {most / 127.0f, store_i8(a * inverse, q) + store_i8(b * inverse, q + 16)};
}

inline void evens_then_odds(int8_t* q) {
  int8_t odd[16];
  for (int i = 0; i < 16; i++) odd[i] = q[2 * i + 1];
  for (int i = 0; i < 16; i++) q[i] = q[2 * i];
  std::memcpy(q + 16, odd, 16);
}

// The cache lines of some rows in ascending order, to be prefetched. Into L1: prefetches into L2 only do not wake the
// hardware's own prefetcher on Zen 4 (12 GB/s instead of 25 on one core).
struct Lines {
  const uint8_t *p, *end;
  int64_t skip, stride;  // from the end of a row to the start of the next; between starts
  int32_t left;
  Lines(const uint8_t* first, int64_t length, int64_t row_stride, int32_t rows)
      : p(first), end(first + length), skip(row_stride - length), stride(row_stride),
        left(skip == 0 ? static_cast<int32_t>((length * rows + 63) / 64) : static_cast<int32_t>((length + 63) / 64) * rows) {
    if (skip == 0) end = first + length * rows;
  }
  inline void fetch() {
    prefetch(p);
    left--;
    p += 64;
    if (p >= end) {
      p = end + skip;
      end += stride;
    }
  }
};

// The same a few at a time, at every step of a loop that does other work: a processor whose miss queue is full drops
// prefetches.
struct PacedLines {
  Lines lines;
  int32_t per_step;
  inline void step() {
    for (int32_t i = 0; i < per_step && lines.left > 0; i++) lines.fetch();
  }
};

// Bytes of one contiguous row.
inline int64_t row_length(const Matrix& m) { return static_cast<int64_t>(m.cols / group_size(m.dtype).values) * group_size(m.dtype).bytes; }
