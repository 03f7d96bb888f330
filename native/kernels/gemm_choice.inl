// Which of the two matrix products of an AMX processor serves a matrix and a number of tokens: decoding to bf16 costs more
// than decoding to bytes, so it has to be shared by more tokens. Next: gemm_vnni.inl, gemm_amx.inl.

constexpr int32_t kPanelRows = 32, kPanelTokens = tiles::kPanelTokens, kInt8ItemTokens = tiles::kInt8ItemTokens;
union WeightPanel {
  bytes::WeightPanel b;
  tiles::WeightPanel t;
};
inline bool gemm_serves(const Matrix& m, const Int8Form& form) { return tiles::gemm_serves(m, form); }
inline size_t panel_bytes(const Matrix& m) { return tiles::panel_bytes(m); }

inline bool few_tokens(const Matrix& m, const Int8Form& form, int32_t tokens) {
  return form.served && tokens < (nibble_type(m.dtype) ? 20 : 64);
}
// For few tokens panels are smaller, so they fit where panels of tiles do.
inline int32_t panel_tokens(bool few) { return few ? bytes::kPanelTokens : kPanelTokens; }
inline size_t panel_size(bool few, const Matrix& m) { return few ? bytes::panel_bytes(m) : tiles::panel_bytes(m); }
inline void fill_panel(bool few, const Matrix& m, const Int8Form& form, const float* const* x, int32_t tokens, uint8_t* out) {
  if (few) bytes::make_panel(m, form, x, tokens, out);
  else tiles::make_panel(m, form, x, tokens, out);
}
inline void gemm(bool few, WeightPanel& w, const Matrix& m, const Int8Form& form, int32_t expert, int32_t row0, int32_t rows, int32_t tokens,
                 const uint8_t* panels, const uint8_t* next, float* acc) {
  if (few) bytes::gemm_int8(w.b, m, form, expert, row0, rows, tokens, panels, next, acc);
  else tiles::gemm_int8(w.t, m, form, expert, row0, rows, tokens, panels, next, acc);
}
