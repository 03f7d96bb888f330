void moe_up(Worker&, const MoeUpArgs&) {}
void moe_down(Worker&, const MoeDownArgs&) {}
size_t moe_up_scratch(const Matrix&, int32_t, int32_t, bool) { return 0; }
size_t moe_down_scratch(const Matrix&, int32_t, int32_t, bool) { return 0; }
