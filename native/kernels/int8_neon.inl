// Integer kernels for 64-bit ARM, same interface as int8_vnni.inl. Three levels of one source: plain NEON multiplies bytes to
// 16 bits and adds pairs (a group's sums of two products fit, as activations stay within ±127); GPTOSS_NEON_DOT adds four
// products in one instruction; GPTOSS_NEON_I8MM multiplies two rows with two tokens at once, for many tokens. Correctness
// is checked under emulation; speed could not be measured there. Next: unpack_neon.inl, int8.inl.

constexpr int32_t kPanelRows = 16, kPanelTokens = 4, kRowdotTokens = 3, kInt8ItemTokens = 48 * kPanelTokens;
constexpr int32_t kPanelGroups = 32;

inline int32x4_t dot_bytes(int32x4_t sum, int8x16_t w, int8x16_t q) {
#ifdef GPTOSS_NEON_DOT
  return vdotq_s32(sum, w, q);
#else
  return vpadalq_s16(sum, vmlal_s8(vmull_s8(vget_low_s8(w), vget_low_s8(q)), vget_high_s8(w), vget_high_s8(q)));
#endif
}
inline int32x4_t dot_group(int8x16_t lo, int8x16_t hi, const int8_t* q) {
  return dot_bytes(dot_bytes(vdupq_n_s32(0), lo, vld1q_s8(q)), hi, vld1q_s8(q + 16));
}

// ---- activations -----------------------------------------------------------------------------------------------------

// GEMM: one group of a tile of 4 tokens. i8mm: [pair of tokens][8 values][token of the pair][8], so that a register holds
// the same eight columns of two tokens.
struct PanelGroup {
  int8_t q[kPanelTokens * 32];
  float scale[kPanelTokens], sum[kPanelTokens];  // sum: scale · Σ q, for types with a minimum
};
// Rowdot: one group of one token.
struct StreamGroup {
  int8_t q[32];
  float scale, sum;
};

inline bool gemm_serves(const Matrix&, const Int8Form& form) { return form.served; }
inline size_t panel_bytes(const Matrix& m) { return static_cast<size_t>(m.cols / 32) * sizeof(PanelGroup); }
inline size_t stream_bytes(int32_t cols, int32_t tokens) { return static_cast<size_t>(tokens) * static_cast<size_t>(cols / 32) * sizeof(StreamGroup); }

inline void make_panel(const Matrix& m, const Int8Form& form, const float* const* x, int32_t tokens, uint8_t* out) {
  int8_t q[32];
  for (int32_t g = 0; g < m.cols / 32; g++) {
    PanelGroup& p = reinterpret_cast<PanelGroup*>(out)[g];
    if (tokens < kPanelTokens) std::memset(static_cast<void*>(&p), 0, sizeof(p));
    for (int32_t t = 0; t < tokens; t++) {
      const Quantised made = quantise_group(x[t] + 32 * g, q);
      if (form.pairs) evens_then_odds(q);
#ifdef GPTOSS_NEON_I8MM
      for (int32_t c = 0; c < 4; c++) std::memcpy(p.q + (t / 2) * 64 + c * 16 + (t & 1) * 8, q + 8 * c, 8);
#else
      std::memcpy(p.q + 32 * t, q, 32);
#endif
      p.scale[t] = made.scale * form.factor;
      p.sum[t] = made.scale * static_cast<float>(made.sum);
    }
  }
}

inline void make_stream(const Matrix& m, const Int8Form& form, const float* const* x, int32_t tokens, uint8_t* out) {
  for (int32_t t = 0; t < tokens; t++) {
    for (int32_t g = 0; g < m.cols / 32; g++) {
      StreamGroup& s = reinterpret_cast<StreamGroup*>(out)[g * tokens + t];
      const Quantised made = quantise_group(x[t] + 32 * g, s.q);
      if (form.pairs) evens_then_odds(s.q);
      s.scale = made.scale * form.factor;
      s.sum = made.scale * static_cast<float>(made.sum);
    }
  }
}

// ---- rowdot ----------------------------------------------------------------------------------------------------------

constexpr int64_t kAheadBytes = 4096;

// One row at a time, one ascending stream. Two sums for each token, so that one does not wait for the other.
template <DType Type, int T>
inline void rowdot_row(const Int8Form& form, int32_t groups, const uint8_t* row, const uint8_t* scales, const uint8_t* ahead, int64_t row_bytes_, const StreamGroup* s,
                       float* out) {
  const uint8_t* const ahead_end = ahead + row_bytes_;
  float32x4_t sums[2][T];
  float mins[T];
  for (int t = 0; t < T; t++) sums[0][t] = sums[1][t] = vdupq_n_f32(0), mins[t] = 0;
  auto step = [&](int32_t g, float32x4_t (&sum)[T]) {
    const Group w = load_group<Type>(row, scales, g);
    for (int t = 0; t < T; t++, s++) {
      sum[t] = vfmaq_n_f32(sum[t], vcvtq_f32_s32(dot_group(w.lo, w.hi, s->q)), w.scale * s->scale);
      if (form.min) mins[t] += w.min * s->sum;
    }
  };
  int32_t g = 0;
  for (; g + 2 <= groups; g += 2) {
    if (ahead < ahead_end) prefetch(ahead);
    ahead += 64;
    step(g, sums[0]);
    step(g + 1, sums[1]);
  }
  if (g < groups) step(g, sums[0]);
  for (; ahead < ahead_end; ahead += 64) prefetch(ahead);
  for (int t = 0; t < T; t++) out[t * kRowTile] = vaddvq_f32(vaddq_f32(sums[0][t], sums[1][t])) + mins[t];
}

template <DType Type, int T>
inline void rowdot_tile_int8(const Matrix& m, const Int8Form& form, const uint8_t* stream, const uint8_t* base, const uint8_t* scales, int32_t rows,
                             const uint8_t* next, float* out) {
  const int32_t distance = m.row_stride >= kAheadBytes ? 1 : static_cast<int32_t>((kAheadBytes + m.row_stride - 1) / m.row_stride);
  for (int32_t r = 0; r < rows; r++) {
    const uint8_t* ahead = r + distance < rows ? base + (r + distance) * m.row_stride : next + (r + distance - rows) * m.row_stride;
    rowdot_row<Type, T>(form, m.cols / 32, base + r * m.row_stride, scales + r * m.scale_row_stride, ahead, m.row_stride,
                        reinterpret_cast<const StreamGroup*>(stream), out + r);
  }
}

template <DType Type>
inline void rowdot_type(const Matrix& m, const Int8Form& form, int32_t tokens, const uint8_t* stream, const uint8_t* base, const uint8_t* scales, int32_t rows,
                        const uint8_t* next, float* out) {
  switch (tokens) {
    case 1: return rowdot_tile_int8<Type, 1>(m, form, stream, base, scales, rows, next, out);
    case 2: return rowdot_tile_int8<Type, 2>(m, form, stream, base, scales, rows, next, out);
    default: return rowdot_tile_int8<Type, 3>(m, form, stream, base, scales, rows, next, out);
  }
}

// Calls fn with the type as a compile-time constant; MXFP4_PAIRS differs in the activations only.
template <class F>
inline void with_type(DType type, F fn) {
  switch (type) {
    case DType::MXFP4: case DType::MXFP4_PAIRS: return fn.template operator()<DType::MXFP4>();
    case DType::MXFP4_SPLIT: return fn.template operator()<DType::MXFP4_SPLIT>();
    case DType::Q8_0: return fn.template operator()<DType::Q8_0>();
    case DType::Q4_0: return fn.template operator()<DType::Q4_0>();
    case DType::Q4_1: return fn.template operator()<DType::Q4_1>();
    case DType::Q5_0: return fn.template operator()<DType::Q5_0>();
    case DType::Q5_1: return fn.template operator()<DType::Q5_1>();
    case DType::IQ4_NL: return fn.template operator()<DType::IQ4_NL>();
    case DType::Q4_K: return fn.template operator()<DType::Q4_K>();
    default: return fn.template operator()<DType::Q5_K>();
  }
}

// out[token * kRowTile + row] for rows [row0, row0 + rows). `next`: first row of this worker's next tile, to prefetch (any address).
inline void rowdot_int8(const Matrix& m, const Int8Form& form, int32_t expert, int32_t row0, int32_t rows, int32_t tokens, const uint8_t* stream,
                        const uint8_t* next, float* out) {
  const uint8_t* base = row_bytes(m, expert, row0);
  const uint8_t* scales = m.dtype == DType::MXFP4_SPLIT ? row_scales(m, expert, row0) : base;
  with_type(m.dtype, [&]<DType Type>() { rowdot_type<Type>(m, form, tokens, stream, base, scales, rows, next, out); });
}

// ---- gemm ------------------------------------------------------------------------------------------------------------

// A decoded chunk of 16 rows. Plain: [group][row][32]. i8mm: [group][pair of rows][8 columns][row of the pair][8].
struct WeightPanel {
  alignas(16) int8_t w[kPanelGroups][kPanelRows * 32];
  float scale[kPanelGroups][kPanelRows], min[kPanelGroups][kPanelRows];
};

template <DType Type>
inline void pack_panel(const uint8_t* base, const uint8_t* scales, int64_t stride, int64_t scale_stride, int32_t rows, int32_t g0, int32_t n, PacedLines& ahead,
                       WeightPanel& panel) {
  if (rows < kPanelRows) std::memset(static_cast<void*>(&panel), 0, sizeof(panel));
  for (int32_t g = 0; g < n; g++) {
    ahead.step();
    for (int32_t r = 0; r < rows; r++) {
      const Group group = load_group<Type>(base + r * stride, scales + r * scale_stride, g0 + g);
#ifdef GPTOSS_NEON_I8MM
      int8_t* w = panel.w[g] + (r / 2) * 64 + (r & 1) * 8;
      vst1_s8(w, vget_low_s8(group.lo));
      vst1_s8(w + 16, vget_high_s8(group.lo));
      vst1_s8(w + 32, vget_low_s8(group.hi));
      vst1_s8(w + 48, vget_high_s8(group.hi));
#else
      vst1q_s8(panel.w[g] + 32 * r, group.lo);
      vst1q_s8(panel.w[g] + 32 * r + 16, group.hi);
#endif
      panel.scale[g][r] = group.scale;
      panel.min[g][r] = group.min;
    }
  }
}

#ifdef GPTOSS_NEON_I8MM

// Four rows times four tokens: four 2×2 products. Sums are ordered (row, token): r0t0 r0t1 r1t0 r1t1.
inline void gemm_tile_int8(const WeightPanel& w, const PanelGroup* panel, int32_t groups, int32_t row, bool min, PacedLines& ahead, float* acc) {
  float32x4_t sums[2][2];
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++) {
      const float* a = acc + 2 * j * kPanelRows + 2 * i;
      sums[i][j] = vcombine_f32(vtrn1_f32(vld1_f32(a), vld1_f32(a + kPanelRows)), vtrn2_f32(vld1_f32(a), vld1_f32(a + kPanelRows)));
    }
  for (int32_t g = 0; g < groups; g++) {
    const PanelGroup& x = panel[g];
    if (row == 0) ahead.step();
    int32x4_t s[2][2];
    for (int i = 0; i < 2; i++)
      for (int j = 0; j < 2; j++) s[i][j] = vdupq_n_s32(0);
    for (int c = 0; c < 4; c++) {
      const int8x16_t q[2] = {vld1q_s8(x.q + 16 * c), vld1q_s8(x.q + 64 + 16 * c)};
      for (int i = 0; i < 2; i++) {
        const int8x16_t rows = vld1q_s8(w.w[g] + (row / 2 + i) * 64 + 16 * c);
        for (int j = 0; j < 2; j++) s[i][j] = vmmlaq_s32(s[i][j], rows, q[j]);
      }
    }
    for (int i = 0; i < 2; i++) {
      const float32x2_t two = vld1_f32(w.scale[g] + row + 2 * i), low = vld1_f32(w.min[g] + row + 2 * i);
      const float32x4_t scale = vcombine_f32(vdup_lane_f32(two, 0), vdup_lane_f32(two, 1)), least = vcombine_f32(vdup_lane_f32(low, 0), vdup_lane_f32(low, 1));
      for (int j = 0; j < 2; j++) {
        const float32x2_t tokens = vld1_f32(x.scale + 2 * j), total = vld1_f32(x.sum + 2 * j);
        sums[i][j] = vfmaq_f32(sums[i][j], vcvtq_f32_s32(s[i][j]), vmulq_f32(scale, vcombine_f32(tokens, tokens)));
        if (min) sums[i][j] = vfmaq_f32(sums[i][j], least, vcombine_f32(total, total));
      }
    }
  }
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++) {
      float* a = acc + 2 * j * kPanelRows + 2 * i;
      const float32x2_t first = vget_low_f32(sums[i][j]), second = vget_high_f32(sums[i][j]);
      vst1_f32(a, vtrn1_f32(first, second));
      vst1_f32(a + kPanelRows, vtrn2_f32(first, second));
    }
}

#else

inline void gemm_tile_int8(const WeightPanel& w, const PanelGroup* panel, int32_t groups, int32_t row, bool min, PacedLines& ahead, float* acc) {
  float32x4_t sums[kPanelTokens];
  for (int t = 0; t < kPanelTokens; t++) sums[t] = vld1q_f32(acc + t * kPanelRows);
  for (int32_t g = 0; g < groups; g++) {
    const PanelGroup& x = panel[g];
    if (row == 0) ahead.step();
    int8x16_t lo[4], hi[4];
    for (int r = 0; r < 4; r++) lo[r] = vld1q_s8(w.w[g] + 32 * (row + r)), hi[r] = vld1q_s8(w.w[g] + 32 * (row + r) + 16);
    const float32x4_t scale = vld1q_f32(w.scale[g] + row), least = vld1q_f32(w.min[g] + row);
    for (int t = 0; t < kPanelTokens; t++) {
      const int8_t* q = x.q + 32 * t;
      const int32x4_t a = vpaddq_s32(dot_group(lo[0], hi[0], q), dot_group(lo[1], hi[1], q));
      const int32x4_t b = vpaddq_s32(dot_group(lo[2], hi[2], q), dot_group(lo[3], hi[3], q));
      sums[t] = vfmaq_f32(sums[t], vcvtq_f32_s32(vpaddq_s32(a, b)), vmulq_n_f32(scale, x.scale[t]));
      if (min) sums[t] = vfmaq_n_f32(sums[t], least, x.sum[t]);
    }
  }
  for (int t = 0; t < kPanelTokens; t++) vst1q_f32(acc + t * kPanelRows, sums[t]);
}

#endif

// `panels`: the tokens' panels, 4 to each, panel_bytes apart. `next`: first row of this worker's next tile. `acc` has room
// for whole panels: the sums of tokens that are not there are computed from zeros and not looked at.
inline void gemm_int8(WeightPanel& w, const Matrix& m, const Int8Form& form, int32_t expert, int32_t row0, int32_t rows, int32_t tokens, const uint8_t* panels,
                      const uint8_t* next, float* acc) {
  const uint8_t* base = row_bytes(m, expert, row0);
  const uint8_t* scales = m.dtype == DType::MXFP4_SPLIT ? row_scales(m, expert, row0) : base;
  const int32_t groups = m.cols / 32, tiles = tiles_of(tokens, kPanelTokens), steps = groups * (1 + tiles);
  std::memset(acc, 0, static_cast<size_t>(tiles) * kPanelTokens * kPanelRows * sizeof(float));
  PacedLines ahead{Lines(next, row_length(m), m.row_stride, kPanelRows), 0};
  ahead.per_step = (ahead.lines.left + steps - 1) / steps;
  for (int32_t g0 = 0; g0 < groups; g0 += kPanelGroups) {
    const int32_t n = groups - g0 < kPanelGroups ? groups - g0 : kPanelGroups;
    with_type(m.dtype, [&]<DType Type>() { pack_panel<Type>(base, scales, m.row_stride, m.scale_row_stride, rows, g0, n, ahead, w); });
    for (int32_t t = 0; t < tiles; t++) {
      const PanelGroup* panel = reinterpret_cast<const PanelGroup*>(panels + static_cast<size_t>(t) * panel_bytes(m)) + g0;
      for (int32_t row = 0; row < kPanelRows; row += 4) gemm_tile_int8(w, panel, n, row, form.min, ahead, acc + t * kPanelTokens * kPanelRows + row);
    }
  }
}
