// The router: the k experts with the highest logits (ties: lower id) and the softmax over those k. With forced ids only
// the gates are computed. Whatever the logits are (NaN included), the ids are distinct and exist.

inline bool among(const int32_t* ids, int32_t count, int32_t id) {
  for (int32_t i = 0; i < count; i++) {
    if (ids[i] == id) return true;
  }
  return false;
}

inline void route_row(const RouteArgs& a, int64_t r) {
  const float* logits = a.logits + r * a.experts;
  int32_t* ids = a.ids + r * a.k;
  float* gates = a.gates + r * a.k;
  for (int32_t i = 0; i < a.k; i++) {
    if (a.forced != nullptr) {
      ids[i] = a.forced[r * a.k + i];
      continue;
    }
    int32_t best = -1;
    for (int32_t e = 0; e < a.experts; e++) {
      if ((best < 0 || logits[e] > logits[best]) && !among(ids, i, e)) best = e;
    }
    ids[i] = best;
  }
  float most = logits[ids[0]], sum = 0.0f;
  for (int32_t i = 1; i < a.k; i++) most = logits[ids[i]] > most ? logits[ids[i]] : most;
  for (int32_t i = 0; i < a.k; i++) {
    gates[i] = exp1(logits[ids[i]] - most);
    sum += gates[i];
  }
  for (int32_t i = 0; i < a.k; i++) gates[i] /= sum;
}

void route(Worker& w, const RouteArgs& a) {
  constexpr int64_t kRows = 16;
  w.chunks((a.rows + kRows - 1) / kRows, [&](int64_t chunk) {
    const int64_t end = (chunk + 1) * kRows < a.rows ? (chunk + 1) * kRows : a.rows;
    for (int64_t r = chunk * kRows; r < end; r++) route_row(a, r);
  });
}
