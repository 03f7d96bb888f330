// Weights to float32: decode_row writes values [0, cols) of one row of one expert. Exact for every type.

inline void decode_row(const Matrix& m, int32_t expert, int32_t row, float* out) {
  (void)m; (void)expert; (void)row; (void)out;
}
