// For variants without integer kernels: everything takes the float path.

inline bool int8_linear(Worker&, const LinearArgs&) { return false; }
inline bool int8_moe_up(Worker&, const MoeUpArgs&) { return false; }
inline bool int8_moe_down(Worker&, const MoeDownArgs&) { return false; }
inline bool int8_down_in_parts(const Matrix&) { return false; }
inline size_t int8_linear_scratch(const Matrix&, int32_t) { return 0; }
inline size_t int8_moe_scratch(const Matrix&, int32_t, int32_t) { return 0; }
