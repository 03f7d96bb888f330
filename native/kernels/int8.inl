// Drives the integer kernels of the ISA (int8_vnni.inl, int8_avx2.inl) for linear, moe_up and moe_down. With few tokens a
// tile of kRowTile weight rows is one pass over memory (rowdot); with more, kPanelRows at a time are decoded and multiplied
// with panels of tokens (gemm). Each function returns false for what it does not serve: the caller then takes the float path.

#ifndef GPTOSS_AMX  // one kind of panel for any number of tokens; else gemm_choice.inl
inline bool few_tokens(const Matrix&, const Int8Form&, int32_t) { return false; }
inline int32_t panel_tokens(bool) { return kPanelTokens; }
inline size_t panel_size(bool, const Matrix& m) { return panel_bytes(m); }
inline void fill_panel(bool, const Matrix& m, const Int8Form& form, const float* const* x, int32_t tokens, uint8_t* out) {
  make_panel(m, form, x, tokens, out);
}
inline void gemm(bool, WeightPanel& w, const Matrix& m, const Int8Form& form, int32_t expert, int32_t row0, int32_t rows, int32_t tokens,
                 const uint8_t* panels, const uint8_t* next, float* acc) {
  gemm_int8(w, m, form, expert, row0, rows, tokens, panels, next, acc);
}
#endif

constexpr int64_t kStreamBytes = 384 << 10;  // activations that every worker quantises for itself

constexpr int32_t kAccFloats = kInt8ItemTokens * kPanelRows > kRowdotTokens * kRowTile ? kInt8ItemTokens * kPanelRows : kRowdotTokens * kRowTile;
struct Int8Scratch {
  WeightPanel panel;
  alignas(64) float acc[kAccFloats];  // [token][row], see acc_stride
  alignas(64) float gate[kAccFloats];
  const float* x[kInt8ItemTokens];
  alignas(64) uint8_t stream[kStreamBytes];
};
static_assert(sizeof(Int8Scratch) <= kLocalBytes, "");

inline int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }
inline bool int8_rowdot(const Int8Form& form, int32_t tokens) { return form.served && tokens <= kRowdotTokens; }
// Rows of a tile that are worked on at once, and floats from one token's sums to the next one's.
inline int32_t acc_stride(const Int8Form& form, int32_t tokens) { return int8_rowdot(form, tokens) ? kRowTile : kPanelRows; }

// Rows of a work item: long pieces, but enough of them for all workers.
inline int32_t row_tile(const Worker& w, int32_t rows) {
  int32_t tile = kRowTile;
  while (tile > 32 && tiles_of(rows, tile) < 4 * w.count) tile /= 2;
  return tile;
}
// The rows of `parts` equal matrices (experts) as work items of one pass over memory: `tile` rows each, but short ones where the
// last matrix ends, so that workers finish together. A piece of 128 rows of four experts takes 80 microseconds on one core.
struct Pieces {
  struct Piece { int32_t part, row0, rows; };
  int32_t rows, last, tile, per_part;  // last matrix; pieces of a whole one
  int32_t cut, cut_row, count;   // pieces before the short ones; the row these begin at; all
  static constexpr int32_t kShort = 16;
  Pieces(const Worker& w, int32_t rows_, int32_t parts) : rows(rows_), last(parts - 1), tile(row_tile(w, rows_ * parts)), per_part(tiles_of(rows_, tile)) {
    const int32_t divided = w.count == 1 ? 0 : least(per_part, w.count);
    cut = parts * per_part - divided;
    cut_row = (per_part - divided) * tile;
    count = cut + (divided == 0 ? 0 : tiles_of(rows - cut_row, kShort));
  }
  Piece at(int64_t i) const {
    if (i >= cut && i < count) {
      const int32_t row0 = cut_row + static_cast<int32_t>(i - cut) * kShort;
      return {last, row0, least(rows - row0, kShort)};
    }
    const int32_t n = i < cut ? static_cast<int32_t>(i) : 0, row0 = n % per_part * tile;  // behind the end: the first
    return {n / per_part, row0, least(rows - row0, tile)};
  }
};

// One slot holds a panel of kPanelTokens tokens or the stream of up to kRowdotTokens.
inline size_t slot_bytes(const Matrix& m) {
  const size_t panel = panel_bytes(m), stream = stream_bytes(m.cols, kRowdotTokens);
  return ((panel > stream ? panel : stream) + 63) & ~size_t{63};
}

// Activations of s.x[0 … tokens) to consecutive slots.
inline void int8_quantise(const Int8Scratch& s, const Matrix& m, const Int8Form& form, int32_t tokens, uint8_t* slots) {
  if (int8_rowdot(form, tokens)) return make_stream(m, form, s.x, tokens, slots);
  const bool few = few_tokens(m, form, tokens);
  const int32_t per = panel_tokens(few);
  for (int32_t t = 0; t < tokens; t += per, slots += panel_size(few, m)) fill_panel(few, m, form, s.x + t, least(tokens - t, per), slots);
}

// acc[token][row] = rows · tokens; at most acc_stride rows.
inline void int8_item(Int8Scratch& s, const Matrix& m, const Int8Form& form, int32_t expert, int32_t row0, int32_t rows, int32_t tokens,
                      const uint8_t* slots, const uint8_t* next, float* acc) {
  if (int8_rowdot(form, tokens)) rowdot_int8(m, form, expert, row0, rows, tokens, slots, next, acc);
  else gemm(few_tokens(m, form, tokens), s.panel, m, form, expert, row0, rows, tokens, slots, next, acc);
}

inline void int8_store(const LinearArgs& a, const float* acc, int32_t stride, int32_t row0, int32_t rows, int32_t token0, int32_t tokens) {
  for (int32_t t = 0; t < tokens; t++, acc += stride) {
    float* y = a.y + static_cast<int64_t>(token0 + t) * a.w->rows + row0;
    for (int32_t r = 0; r < rows; r++) {
      const float v = acc[r] + (a.bias ? a.bias[row0 + r] : 0.0f);
      y[r] = a.add ? y[r] + v : v;
    }
  }
}

inline void int8_linear_rowdot(Worker& w, const LinearArgs& a, const Int8Form& form) {
  const Matrix& m = *a.w;
  Int8Scratch& s = *reinterpret_cast<Int8Scratch*>(w.local);
  const bool own = static_cast<int64_t>(stream_bytes(m.cols, a.rows)) <= kStreamBytes;
  uint8_t* const stream = own ? s.stream : a.scratch;
  auto fill = [&] {
    for (int32_t t = 0; t < a.rows; t++) s.x[t] = a.x + static_cast<int64_t>(t) * m.cols;
    make_stream(m, form, s.x, a.rows, stream);
  };
  if (own) fill();
  else w.chunks(1, [&](int64_t) { fill(); });
  const Pieces pieces(w, m.rows, 1);
  chunks_ahead(w, pieces.count, [&](int64_t i, int64_t ahead) {
    const Pieces::Piece piece = pieces.at(i);
    rowdot_int8(m, form, 0, piece.row0, piece.rows, a.rows, stream, row_bytes(m, 0, pieces.at(ahead).row0), s.acc);
    int8_store(a, s.acc, kRowTile, piece.row0, piece.rows, 0, a.rows);
  });
}

bool int8_linear(Worker& w, const LinearArgs& a) {
  const Matrix& m = *a.w;
  const Int8Form form = int8_form(m);
  if (int8_rowdot(form, a.rows)) return int8_linear_rowdot(w, a, form), true;
  if (!gemm_serves(m, form) || a.rows <= kRowdotTokens) return false;
  Int8Scratch& s = *reinterpret_cast<Int8Scratch*>(w.local);
  const int32_t row_tiles = tiles_of(m.rows, kPanelRows), groups = tiles_of(a.rows, kInt8ItemTokens);
  const bool few = few_tokens(m, form, a.rows);
  const int32_t per = panel_tokens(few);
  const size_t panel = panel_size(few, m);
  w.chunks(tiles_of(a.rows, per), [&](int64_t i) {
    const int32_t t0 = static_cast<int32_t>(i) * per, n = least(a.rows - t0, per);
    for (int32_t t = 0; t < n; t++) s.x[t] = a.x + static_cast<int64_t>(t0 + t) * m.cols;
    fill_panel(few, m, form, s.x, n, a.scratch + static_cast<size_t>(i) * panel);
  });
  chunks_ahead(w, static_cast<int64_t>(row_tiles) * groups, [&](int64_t i, int64_t ahead) {
    // One group of tokens after the other, so that its activations stay in cache; a last group of few lies in panels all the same.
    const uint8_t* next = row_bytes(m, 0, static_cast<int32_t>(ahead % row_tiles) * kPanelRows);
    const int32_t row0 = static_cast<int32_t>(i % row_tiles) * kPanelRows, rows = least(m.rows - row0, kPanelRows);
    const int32_t token0 = static_cast<int32_t>(i / row_tiles) * kInt8ItemTokens, tokens = least(a.rows - token0, kInt8ItemTokens);
    gemm(few, s.panel, m, form, 0, row0, rows, tokens, a.scratch + static_cast<size_t>(token0 / per) * panel, next, s.acc);
    int8_store(a, s.acc, kPanelRows, row0, rows, token0, tokens);
  });
  return true;
}

inline size_t int8_linear_scratch(const Matrix& m, int32_t rows) {
  return gemm_serves(m, int8_form(m)) ? static_cast<size_t>(tiles_of(rows, kPanelTokens)) * slot_bytes(m) : 0;
}

// One row: its k experts are read straight from ids, and every worker quantises the row for itself.
inline bool int8_single(const Matrix& m, int32_t rows, int32_t vectors) {
  return rows == 1 && int8_form(m).served && static_cast<int64_t>(stream_bytes(m.cols, 1)) * vectors <= kStreamBytes;
}

// Types without a rowdot are served from enough tokens on that most experts have some.
inline bool int8_experts(const Matrix& m, const Int8Form& form, int32_t rows) { return form.served || (gemm_serves(m, form) && rows > 2 * kPanelTokens); }

bool int8_moe_up(Worker& w, const MoeUpArgs& a) {
  const Matrix& m = *a.gate;
  const Int8Form form = int8_form(m);
  if (!int8_experts(m, form, a.rows) || a.up->dtype != m.dtype) return false;
  Int8Scratch& s = *reinterpret_cast<Int8Scratch*>(w.local);
  const int32_t pairs = a.rows * a.k, tile = row_tile(w, m.rows * a.k), row_tiles = tiles_of(m.rows, tile);
  if (int8_single(m, a.rows, 1)) {
    s.x[0] = a.x;
    int8_quantise(s, m, form, 1, s.stream);
    const Pieces pieces(w, m.rows, a.k);
    chunks_ahead(w, pieces.count, [&](int64_t i, int64_t ahead) {
      const Pieces::Piece piece = pieces.at(i), then = pieces.at(ahead);
      const int32_t slot = piece.part, row0 = piece.row0, rows = piece.rows, expert = a.ids[slot];
      const uint8_t* next = row_bytes(m, a.ids[then.part], then.row0);
      rowdot_int8(m, form, expert, row0, rows, 1, s.stream, row_bytes(*a.up, expert, row0), s.gate);
      rowdot_int8(*a.up, form, expert, row0, rows, 1, s.stream, next, s.acc);
      swiglu_rows(a, s.gate, s.acc, expert, row0, rows, a.h + static_cast<int64_t>(slot) * m.rows + row0);
    });
    return true;
  }
  const MoePlan plan = moe_plan_at(a.scratch, pairs);
  uint8_t* slots = a.scratch + moe_plan_bytes(pairs, m.experts, kInt8ItemTokens);
  const size_t slot = slot_bytes(m);
  if (w.id == 0) moe_plan(plan, a.ids, pairs, m.experts, a.experts, kInt8ItemTokens, kPanelTokens, reinterpret_cast<int32_t*>(s.acc));
  w.barrier();
  w.chunks(plan.counts[0], [&](int64_t i) {
    const MoeItem& item = plan.items[i];
    for (int32_t t = 0; t < item.count; t++) s.x[t] = a.x + static_cast<int64_t>(plan.order[item.first + t] / a.k) * m.cols;
    int8_quantise(s, m, form, item.count, slots + static_cast<size_t>(item.slot) * slot);
  });
  const int64_t items = plan.counts[0];
  chunks_ahead(w, items * row_tiles, [&](int64_t i, int64_t ahead) {
    const MoeItem& item = plan.items[i / row_tiles];
    const int32_t first = static_cast<int32_t>(i % row_tiles) * tile, end = least(m.rows, first + tile);
    const uint8_t* next = row_bytes(m, plan.items[ahead / row_tiles % items].expert, static_cast<int32_t>(ahead % row_tiles) * tile);
    const uint8_t* x = slots + static_cast<size_t>(item.slot) * slot;
    const int32_t stride = acc_stride(form, item.count);
    for (int32_t row0 = first; row0 < end; row0 += stride) {
      const int32_t rows = least(end - row0, stride);
      const uint8_t* then = row0 + stride < end ? row_bytes(m, item.expert, row0 + stride) : next;
      int8_item(s, m, form, item.expert, row0, rows, item.count, x, row_bytes(*a.up, item.expert, row0), s.gate);
      int8_item(s, *a.up, form, item.expert, row0, rows, item.count, x, then, s.acc);
      for (int32_t t = 0; t < item.count; t++) {
        swiglu_rows(a, s.gate + t * stride, s.acc + t * stride, item.expert, row0, rows,
                    a.h + static_cast<int64_t>(plan.order[item.first + t]) * m.rows + row0);
      }
    }
  });
  return true;
}

inline void int8_add_down(const MoeDownArgs& a, const float* acc, int32_t pair, int32_t expert, int32_t row0, int32_t rows) {
  float* y = a.y + static_cast<int64_t>(pair / a.k) * a.down->rows + row0;
  const float* bias = a.bias + static_cast<int64_t>(expert) * a.down->rows + row0;
  const float gate = a.gates[pair];
  for (int32_t r = 0; r < rows; r++) y[r] += gate * (acc[r] + bias[r]);
}

// Whether int8_moe_down takes this matrix with any number of rows: then every part of an op adds in the order of experts.
inline bool int8_down_in_parts(const Matrix& m) { return int8_form(m).served; }

// Items go expert by expert, so that an expert's activations stay in cache; those of one tile of output columns wait for
// each other (`done` counts them), so y is summed in one order and by one worker at a time.
bool int8_moe_down(Worker& w, const MoeDownArgs& a) {
  const Matrix& m = *a.down;
  const Int8Form form = int8_form(m);
  if (!int8_experts(m, form, a.rows)) return false;
  Int8Scratch& s = *reinterpret_cast<Int8Scratch*>(w.local);
  const int32_t pairs = a.rows * a.k, tile = row_tile(w, m.rows), row_tiles = tiles_of(m.rows, tile);
  if (int8_single(m, a.rows, a.k)) {
    const size_t bytes = stream_bytes(m.cols, 1);
    for (int32_t i = 0; i < a.k; i++) {
      s.x[0] = a.h + static_cast<int64_t>(i) * m.cols;
      int8_quantise(s, m, form, 1, s.stream + static_cast<size_t>(i) * bytes);
    }
    const Pieces pieces(w, m.rows, 1);
    chunks_ahead(w, pieces.count, [&](int64_t index, int64_t ahead) {
      const auto [part, row0, rows] = pieces.at(index);
      (void)part;
      for (int32_t i = 0; i < a.k; i++) {
        const bool last = i + 1 == a.k;
        const uint8_t* next = row_bytes(m, a.ids[last ? 0 : i + 1], last ? pieces.at(ahead).row0 : row0);
        rowdot_int8(m, form, a.ids[i], row0, rows, 1, s.stream + static_cast<size_t>(i) * bytes, next, s.acc);
        int8_add_down(a, s.acc, i, a.ids[i], row0, rows);
      }
    });
    return true;
  }
  const MoePlan plan = moe_plan_at(a.scratch, pairs);
  uint8_t* slots = a.scratch + moe_plan_bytes(pairs, m.experts, kInt8ItemTokens);
  const size_t slot = slot_bytes(m);
  int32_t* done = reinterpret_cast<int32_t*>(slots + static_cast<size_t>(pairs / kPanelTokens + m.experts) * slot);
  if (w.id == 0) {
    moe_plan(plan, a.ids, pairs, m.experts, a.experts, kInt8ItemTokens, kPanelTokens, reinterpret_cast<int32_t*>(s.acc));
    for (int32_t i = 0; i < row_tiles; i++) done[i] = 0;
  }
  w.barrier();
  w.chunks(plan.counts[0], [&](int64_t i) {
    const MoeItem& item = plan.items[i];
    for (int32_t t = 0; t < item.count; t++) s.x[t] = a.h + static_cast<int64_t>(plan.order[item.first + t]) * m.cols;
    int8_quantise(s, m, form, item.count, slots + static_cast<size_t>(item.slot) * slot);
  });
  const int64_t items = plan.counts[0];
  chunks_ahead(w, items * row_tiles, [&](int64_t i, int64_t ahead) {
    const int32_t at = static_cast<int32_t>(i / row_tiles), column = static_cast<int32_t>(i % row_tiles);
    const MoeItem& item = plan.items[at];
    const int32_t first = column * tile, end = least(m.rows, first + tile), stride = acc_stride(form, item.count);
    const uint8_t* next = row_bytes(m, plan.items[ahead / row_tiles % items].expert, static_cast<int32_t>(ahead % row_tiles) * tile);
    for (int32_t row0 = first; row0 < end; row0 += stride) {
      const int32_t rows = least(end - row0, stride);
      const uint8_t* then = row0 + stride < end ? row_bytes(m, item.expert, row0 + stride) : next;
      int8_item(s, m, form, item.expert, row0, rows, item.count, slots + static_cast<size_t>(item.slot) * slot, then, s.acc);
      if (row0 == first) Worker::await(done + column, at);
      for (int32_t t = 0; t < item.count; t++) int8_add_down(a, s.acc + t * stride, plan.order[item.first + t], item.expert, row0, rows);
    }
    Worker::publish(done + column, at + 1);
  });
  return true;
}

inline size_t int8_moe_scratch(const Matrix& m, int32_t rows, int32_t k) {
  if (!gemm_serves(m, int8_form(m))) return 0;
  const int32_t pairs = rows * k;
  return moe_plan_bytes(pairs, m.experts, kInt8ItemTokens) + static_cast<size_t>(pairs / kPanelTokens + m.experts) * slot_bytes(m) +
         static_cast<size_t>(tiles_of(m.rows, 32)) * sizeof(int32_t);
}
