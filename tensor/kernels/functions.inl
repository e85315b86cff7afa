// Functions on Vec<T> beside exp and tanh of elementwise.inl, of which unary_functions.h makes others. Included by
// kernels.inl, in its namespaces.

template <class T> inline Vec<T> operator+(Vec<T> a, double b) { return a + Vec<T>::set1(static_cast<T>(b)); }
template <class T> inline Vec<T> operator+(double a, Vec<T> b) { return Vec<T>::set1(static_cast<T>(a)) + b; }
template <class T> inline Vec<T> operator-(Vec<T> a, double b) { return a - Vec<T>::set1(static_cast<T>(b)); }
template <class T> inline Vec<T> operator-(double a, Vec<T> b) { return Vec<T>::set1(static_cast<T>(a)) - b; }
template <class T> inline Vec<T> operator*(Vec<T> a, double b) { return a * Vec<T>::set1(static_cast<T>(b)); }
template <class T> inline Vec<T> operator/(double a, Vec<T> b) { return Vec<T>::set1(static_cast<T>(a)) / b; }

/// e^x − 1 without cancellation: within 1.8 ulp.
template <class T> inline Vec<T> expm1(Vec<T> x) {
  using E = ExpTerms<T>;
  using V = Vec<T>;
  constexpr bool single = sizeof(T) == 4;
  const V low = V::set1(single ? T(-20) : T(-45));  // the result rounds to −1
  const V high = V::set1(E::high), magic = V::set1(E::magic);
  const auto parts = exp_parts(max(low, min(high, x)));
  // 2^k·(e^r − 1 + (1 − 2^−k)). For a large k, 2^−k would leave the exponent's range, but it is far below an ulp.
  const V k = min(V::set1(single ? T(60) : T(100)), parts.power - magic);
  const V y = add_exponent(parts.rest() + (1 - add_exponent(V::set1(1), magic - k)), parts.power);
  const V limited = select(less(high, x), V::set1(T(__builtin_inf())), y);
  // Keeps the sign of zero and NaN.
  return select(less(V::set1(single ? T(1e-10) : T(1e-20)), abs(x)), limited, x);
}

template <class T> struct LogTerms;
// 2/3, 2/5, ...: the series of log((1 + s)/(1 − s)) − 2s over s³, in s² ≤ 0.0295.
template <> struct LogTerms<float> {
  static constexpr float c[] = {2 / 3.0F, 2 / 5.0F, 2 / 7.0F, 2 / 9.0F, 2 / 11.0F};
  static constexpr float smallest = 1.17549435e-38F, largest = 3.40282347e+38F;
  static constexpr double bias = 127;
};
template <> struct LogTerms<double> {
  static constexpr double c[] = {2 / 3.0,  2 / 5.0,  2 / 7.0,  2 / 9.0,  2 / 11.0,
                                 2 / 13.0, 2 / 15.0, 2 / 17.0, 2 / 19.0, 2 / 21.0};
  static constexpr double smallest = 2.2250738585072014e-308, largest = 1.7976931348623157e+308;
  static constexpr double bias = 1023;
};

/// ln x within 0.8 ulp; −∞ at zero, NaN below. The reduction of FreeBSD's msun (Ng 1993): with x = 2^e·(1 + f)
/// and s = f/(2 + f), log(1 + f) = f − (f²/2 − s·(f²/2 + R(s²))), where f is exact and the rest small beside it.
template <class T> inline Vec<T> log(Vec<T> x) {
  using L = LogTerms<T>;
  using V = Vec<T>;
  const V m = significand(x), e = biased_exponent(x) - L::bias;
  const auto upper = less(V::set1(T(1.41421356237309504880)), m);
  const V k = select(upper, e + 1, e);
  const V f = select(upper, m * 0.5, m) - 1;
  const V s = f / (f + 2), z = s * s, half_square = f * f * 0.5;
  constexpr int terms = static_cast<int>(sizeof(L::c) / sizeof(T));
  V r = V::set1(L::c[terms - 1]);
  for (int i = terms - 2; i >= 0; --i) r = fma(r, z, V::set1(L::c[i]));
  const V small = fma(s, fma(r, z, half_square), k * ExpTerms<T>::ln2_low);
  V y = fma(k, V::set1(ExpTerms<T>::ln2_high), f - (half_square - small));
  y = select(less(x, V::set1(L::smallest)), V::set1(T(-__builtin_inf())), y);
  y = select(less(x, V::set1(0)), V::set1(T(__builtin_nan(""))), y);
  y = select(less(V::set1(L::largest), x), x, y);
  return select(is_nan(x), x, y);
}

/// ln(1 + u) for 0 ≤ u ≤ 1. The factor u/((1 + u) − 1) corrects the rounding error of 1 + u (Kahan; in Goldberg 1991,
/// theorem 4).
template <class T> inline Vec<T> log1p_of_fraction(Vec<T> u) {
  const Vec<T> w = 1 + u, kept = w - 1;
  return if_positive(kept, log(w) * (u / kept), u);
}

/// 1/(1 + e^−x) within 2.2 ulp.
template <class T> inline Vec<T> sigmoid(Vec<T> x) { return 1 / (1 + exp(-x)); }

/// ln(1 + e^x) for all x, within 2.8 ulp, as max(x, 0) + ln(1 + e^−|x|).
template <class T> inline Vec<T> log_of_one_plus_exp(Vec<T> x) {
  return max(Vec<T>::set1(0), x) + log1p_of_fraction(exp(-abs(x)));
}

/// tanh(ln(1 + e^x)) = n/(n + 2), n = e^x·(e^x + 2). Beyond 20 it rounds to 1.
template <class T> inline Vec<T> tanh_of_softplus(Vec<T> x) {
  const Vec<T> e = exp(min(Vec<T>::set1(20), x)), n = e * (e + 2);
  return n / (n + 2);
}
