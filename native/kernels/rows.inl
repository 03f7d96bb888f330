// Row-wise ops: embed, rms_norm, rope_cache, gather_rows.

void embed(Worker& w, const EmbedArgs& a) {
  const int32_t width = a.table->cols;
  w.chunks(a.rows, [&](int64_t r) { decode_row(*a.table, 0, a.tokens[r], a.y + r * width); });
}
void rms_norm(Worker&, const RmsNormArgs&) {}
void rope_cache(Worker&, const RopeCacheArgs&) {}
void gather_rows(Worker& w, const GatherRowsArgs& a) {
  w.chunks(a.rows, [&](int64_t r) {
    std::memcpy(a.y + r * a.width, a.x + static_cast<int64_t>(a.index[r]) * a.width, static_cast<size_t>(a.width) * 4);
  });
}
