// The rounding of experts to MXFP4, value for value as packNearest in src/formats/mxfp4.ts: of three scales the one of least
// squared error, each error a float64 sum over the group in order. Eight groups side by side, so that the sums of all of
// them advance together; plain loops that the compiler turns into vectors.

constexpr int kGroup = 32, kGroupsAtOnce = 8;

// 0, 0.5, 1, 1.5, 2, 3, 4 or 6; halfway values to the even code. Adding and taking away 1.5 * 2^52 rounds to steps of 1.
inline double nearest_fp4(double magnitude) {
  constexpr double whole = 6755399441055744.0;
  const double shift = magnitude < 2 ? 0.5 * whole : magnitude < 4 ? whole : 2 * whole;
  const double rounded = (magnitude + shift) - shift;
  return rounded < 6 ? rounded : 6;
}

inline double power_of_two(int exponent) {  // exact for -127 … 127, as in JavaScript's 2 ** n
  const uint64_t bits = static_cast<uint64_t>(exponent + 1023) << 52;
  double d;
  std::memcpy(&d, &bits, 8);
  return d;
}

// The exponent of the largest magnitude minus 2, as a scale byte.
inline int usual_scale(double largest) {
  const float narrow = static_cast<float>(largest);
  uint32_t bits;
  std::memcpy(&bits, &narrow, 4);
  const int scale = static_cast<int>(bits >> 23) - 2;  // subnormal: limited to 0 in any case
  return scale < 0 ? 0 : scale > 254 ? 254 : scale;
}

void fake_quantise(float* y, const float* x, int64_t groups) {
  for (int64_t first = 0; first < groups; first += kGroupsAtOnce, x += kGroupsAtOnce * kGroup, y += kGroupsAtOnce * kGroup) {
    const int count = groups - first < kGroupsAtOnce ? static_cast<int>(groups - first) : kGroupsAtOnce;
    alignas(64) double magnitudes[kGroup][kGroupsAtOnce];
    alignas(64) double largest[kGroupsAtOnce] = {};
    for (int l = 0; l < kGroupsAtOnce; l++) {
      const float* from = x + (l < count ? l : 0) * kGroup;
      for (int i = 0; i < kGroup; i++) magnitudes[i][l] = std::fabs(static_cast<double>(from[i]));
    }
    for (int i = 0; i < kGroup; i++) {
      for (int l = 0; l < kGroupsAtOnce; l++) largest[l] = magnitudes[i][l] > largest[l] ? magnitudes[i][l] : largest[l];
    }
    alignas(64) double errors[3][kGroupsAtOnce] = {};  // of the usual scale, one below, one above
    int usual[kGroupsAtOnce];
    for (int l = 0; l < kGroupsAtOnce; l++) usual[l] = usual_scale(largest[l]);
    constexpr int kShifts[3] = {0, -1, 1};
    for (int c = 0; c < 3; c++) {
      alignas(64) double unit[kGroupsAtOnce], inverse[kGroupsAtOnce];
      for (int l = 0; l < kGroupsAtOnce; l++) {
        const int scale = usual[l] + kShifts[c] < 0 ? 0 : usual[l] + kShifts[c];  // the same as usual: never less
        unit[l] = power_of_two(scale - 127);
        inverse[l] = power_of_two(127 - scale);
      }
      for (int i = 0; i < kGroup; i++) {
        for (int l = 0; l < kGroupsAtOnce; l++) {
          const double difference = magnitudes[i][l] - nearest_fp4(magnitudes[i][l] * inverse[l]) * unit[l];
          errors[c][l] += difference * difference;
        }
      }
    }
    for (int l = 0; l < count; l++) {
      int best = 0;
      for (int c = 1; c < 3; c++) best = errors[c][l] < errors[best][l] ? c : best;
      const int scale = usual[l] + kShifts[best];
      const double unit = power_of_two(scale - 127), inverse = power_of_two(127 - scale);
      const float* from = x + l * kGroup;
      float* to = y + l * kGroup;
      for (int i = 0; i < kGroup; i++) {
        const double value = nearest_fp4(std::fabs(static_cast<double>(from[i])) * inverse) * unit;
        to[i] = std::copysign(static_cast<float>(value), from[i]);
      }
    }
  }
}
