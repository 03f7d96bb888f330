void attention(Worker&, const AttentionArgs&) {}
size_t attention_scratch(int32_t, int32_t, int32_t) { return 0; }
