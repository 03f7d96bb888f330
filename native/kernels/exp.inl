// e^x on 16 lanes. Exactly 1 at 0, exactly 0 below -87.7 (masked scores), largest relative error 2e-7 between; x is
// limited to 88. e^x = 2^n · e^r with |r| <= ln 2 / 2; the polynomial was fitted to relative error 3e-9 before rounding.

inline Vec vexp(Vec x) {
  x = vmax(vmin(x, Vec::set(88.0f)), Vec::set(-88.0f));
  const Vec n = vround(x * Vec::set(1.44269504f));
  Vec r = fma(n, Vec::set(-0.693145752f), x);  // ln 2 in two parts: the first has few bits, so n times it is exact
  r = fma(n, Vec::set(-1.42860677e-6f), r);
  Vec q = Vec::set(0.0013814518f);
  q = fma(q, r, Vec::set(0.008368745f));
  q = fma(q, r, Vec::set(0.041668393f));
  q = fma(q, r, Vec::set(0.1666652f));
  q = fma(q, r, Vec::set(0.49999994f));
  return vscale2(fma(q * r, r, r) + Vec::set(1.0f), n);
}

// One value, the same bits as a lane of vexp.
inline float exp1(float x) {
  float lanes[16];
  vexp(Vec::set(x)).store(lanes);
  return lanes[0];
}
