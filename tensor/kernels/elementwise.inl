// Elementwise kernels on Vec<T>. Included by kernels.inl, in its namespaces.
//
// The last lanes of a row use the same formula as the others, with masked loads and stores, so an element's bits do not
// depend on its position.

struct Full {};
struct Partial {
  int64_t n;
};
template <class T> Vec<T> load(const T* p, Full, T = 0) { return Vec<T>::load(p); }
template <class T> Vec<T> load(const T* p, Partial part, T fill = 0) { return Vec<T>::load_partial(p, part.n, fill); }
template <class T> void store(Vec<T> v, T* p, Full) { v.store(p); }
template <class T> void store(Vec<T> v, T* p, Partial part) { v.store_partial(p, part.n); }

/// Calls body(i, part) for every vector of 0..n.
template <class T, class Body> inline void for_lanes(int64_t n, Body body) {
  int64_t i = 0;
  for (; i + Vec<T>::width <= n; i += Vec<T>::width) body(i, Full{});
  if (i < n) body(i, Partial{n - i});
}

// e^r = 1 + r + c₂·r² + ... on |r| ≤ ln2/2. f32 is fitted (Lawson's reweighting) to a relative error of 3.1e-9. f64 is
// the Taylor series, whose first omitted term is below half an ulp.
template <class T> struct ExpTerms;
template <> struct ExpTerms<float> {
  static constexpr float c[] = {1, 1, 0.49999994F, 0.1666652F, 0.041668393F, 0.008368781F, 0.0013814467F};
  static constexpr float low = -87.33654F, high = 88.72283F;  // ln of the smallest normal and the largest number
  static constexpr float magic = 12582912.0F;  // 1.5·2^23: adding it rounds to an integer in the low bits
  static constexpr float ln2_high = 0.693359375F, ln2_low = -2.12194440e-4F;  // Cody & Waite 1980
};
template <> struct ExpTerms<double> {
  static constexpr double c[] = {
      1,          1,           1 / 2.0,      1 / 6.0,       1 / 24.0,       1 / 120.0,       1 / 720.0,
      1 / 5040.0, 1 / 40320.0, 1 / 362880.0, 1 / 3628800.0, 1 / 39916800.0, 1 / 479001600.0, 1 / 6227020800.0};
  static constexpr double low = -708.396418532264, high = 709.782712893384;
  static constexpr double magic = 6755399441055744.0;  // 1.5·2^52
  static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
};

template <class T> struct ExpParts {
  Vec<T> power;   // the integer k, in the low bits of the significand
  Vec<T> number;  // k itself
  Vec<T> r, p;    // x = k·ln2 + r, e^r = 1 + r + p·r²

  Vec<T> rest() const { return fma(r * r, p, r); }           // e^r − 1
  Vec<T> whole() const { return rest() + Vec<T>::set1(1); }  // e^r
};

template <class T> inline ExpParts<T> exp_parts(Vec<T> x) {
  using E = ExpTerms<T>;
  using V = Vec<T>;
  const V magic = V::set1(E::magic);
  const V t = fma(x, V::set1(T(1.44269504088896340736)), magic);
  const V k = t - magic;
  V r = fma(k, V::set1(-E::ln2_high), x);
  r = fma(k, V::set1(-E::ln2_low), r);
  constexpr int terms = static_cast<int>(sizeof(E::c) / sizeof(T));
  V p = V::set1(E::c[terms - 1]);
  for (int i = terms - 2; i >= 2; --i) p = fma(p, r, V::set1(E::c[i]));
  return {t, k, r, p};
}

/// e^x for x ≤ 0 or a little more, within 1.1 ulp; 0 below the smallest normal number; NaN stays.
template <class T> inline Vec<T> exp_of_negative(Vec<T> x) {
  using V = Vec<T>;
  const V low = V::set1(ExpTerms<T>::low);
  const auto underflows = less(x, low);
  if constexpr (kScalesByPowers) {
    const auto parts = exp_parts(x);
    return select(underflows, V::set1(0), scale_by_power(parts.whole(), parts.number));
  }
  const auto parts = exp_parts(max(low, x));  // NaN goes through max and all the rest
  return select(underflows, V::set1(0), add_exponent(parts.whole(), parts.power));
}

/// e^x within 1.1 ulp; 0 below the smallest normal number, infinity above the largest; NaN stays.
template <class T> inline Vec<T> exp(Vec<T> x) {
  using E = ExpTerms<T>;
  using V = Vec<T>;
  const V high = V::set1(E::high);
  // Scaling overflows to infinity.
  if constexpr (kScalesByPowers) return exp_of_negative(min(V::set1(E::high + 1), x));
  return select(less(high, x), V::set1(T(__builtin_inf())), exp_of_negative(min(high, x)));
}

/// tanh x within 2 ulp: |y| = e / (e + 2) with e = e^{2|x|} − 1 computed without cancellation. For small e it is
/// computed as e/2 − e/2·y, where the rounding errors of y matter little.
template <class T> inline Vec<T> tanh(Vec<T> x) {
  using V = Vec<T>;
  // Beyond this the result rounds to 1.
  const V top = V::set1(sizeof(T) == 4 ? T(18) : T(40));
  const V a = abs(x);
  const auto parts = exp_parts(min(top, a + a));
  const V scale = add_exponent(V::set1(1), parts.power);
  const V e = fma(scale, parts.rest(), scale - V::set1(1));
  const V quotient = e / (e + V::set1(2)), half = e * V::set1(T(0.5));
  const V y = select(less(e, V::set1(1)), fma(V::set1(0) - half, quotient, half), quotient);
  // x itself at ±0 and NaN.
  return select(less(V::set1(0), a), select(less(x, V::set1(0)), V::set1(0) - y, y), x);
}

/// The parts of GELU and its derivative: Φ(x) and the density φ(x) of the normal distribution.
template <class T> struct Normal { Vec<T> cumulative, density; };

/// c₀ + c₁·x + ...
template <class T, size_t n> inline Vec<T> polynomial(const T (&c)[n], Vec<T> x) {
  Vec<T> y = Vec<T>::set1(c[n - 1]);
  for (int i = static_cast<int>(n) - 2; i >= 0; --i) y = fma(y, x, Vec<T>::set1(c[i]));
  return y;
}

// Φ(−a) = e^{−a²/2}·erfcx(a/√2)/2 for a = |x|, where half of erfcx is a quotient of polynomials, fitted by linearised
// weighted least squares (Lawson's reweighting) to relative error 2e-8 on [0, 13.3].
inline Normal<float> normal(Vec<float> x) {
  using V = Vec<float>;
  constexpr float above[] = {0.5F, 0.43568617F, 0.18130666F, 0.039984144F, 0.004020188F};
  constexpr float below[] = {1, 1.6692573F, 1.1944838F, 0.4643801F, 0.100232765F, 0.010076974F};
  const V a = min(V::set1(20), abs(x)), minus_half = a * V::set1(-0.5F);  // beyond, the tail is 0
  // In the tail the rounding error of a²/2 would be multiplied by a²/2. With a fused fma the error is corrected.
  const V exponent = a * minus_half, lost = fma(a, minus_half, V::set1(0) - exponent),
          rough = exp_of_negative(exponent);
  const V bell = fma(rough, lost, rough);
  const V tail = bell * polynomial(above, a) / polynomial(below, a);
  return {select(less(V::set1(0), x), V::set1(1) - tail, tail), bell * V::set1(0.39894228F)};
}

// f64 is the reference, so it uses the C library's error function, lane by lane. The rounding error of its argument
// z = −x/√2 is corrected by the derivative, −√2·φ(x).
inline Normal<double> normal(Vec<double> any) {
  using V = Vec<double>;
  const V x = max(V::set1(-50), min(V::set1(50), any));  // beyond, the density is 0
  const V root = V::set1(-0.70710678118654752440), root_low = V::set1(4.8336466567264567e-17);
  const V z = x * root, lost = fma(x, root, V::set1(0) - z) + x * root_low;
  const V square = x * x, lost_square = fma(x, x, V::set1(0) - square), rough = exp(square * V::set1(-0.5));
  const V density = fma(rough, lost_square * V::set1(-0.5), rough) * V::set1(0.39894228040143267794);
  double lanes[V::width];
  z.store(lanes);
  for (double& lane : lanes) lane = 0.5 * __builtin_erfc(lane);
  return {fma(density, lost * V::set1(-1.4142135623730951), V::load(lanes)), density};
}

template <class T, class F1> inline void map_lanes(int64_t n, const T* x, T* y, F1 f) {
  for_lanes<T>(n, [&](int64_t i, auto part) { store(f(load(x + i, part)), y + i, part); });
}

template <class T> void axpy_kernel(int64_t n, T alpha, const T* x, T* y) {
  const Vec<T> a = Vec<T>::set1(alpha);
  for_lanes<T>(n, [&](int64_t i, auto part) { store(fma(a, load(x + i, part), load(y + i, part)), y + i, part); });
}

template <class T> void add_kernel(int64_t n, const T* a, const T* b, T* y) {
  for_lanes<T>(n, [&](int64_t i, auto part) { store(load(a + i, part) + load(b + i, part), y + i, part); });
}

template <class T> void scale_kernel(int64_t n, T alpha, T* y) {
  const Vec<T> a = Vec<T>::set1(alpha);
  for_lanes<T>(n, [&](int64_t i, auto part) { store(a * load(y + i, part), y + i, part); });
}

// Transposes a block of fewer rows or columns than a whole one has.
template <class T>
void transpose_edge(int64_t high, int64_t wide, const T* from, int64_t in_step, T* to, int64_t out_step) {
  using V = Vec<T>;
  constexpr int64_t width = V::width;
  V block[width];
  for (int64_t l = 0; l < width; ++l) {
    block[l] = l < high ? V::load_partial(from + l * in_step, wide, 0) : V::set1(0);
  }
  transpose(block);
  for (int64_t l = 0; l < wide; ++l) block[l].store_partial(to + l * out_step, high);
}

template <class T>
void transpose_kernel(int64_t rows, int64_t columns, const T* in, int64_t in_step, T* out, int64_t out_step) {
  using V = Vec<T>;
  constexpr int64_t width = V::width;
  for (int64_t r = 0; r < rows; r += width) {
    const int64_t high = rows - r < width ? rows - r : width;
    for (int64_t c = 0; c < columns; c += width) {
      const int64_t wide = columns - c < width ? columns - c : width;
      const T* from = in + r * in_step + c;
      T* to = out + c * out_step + r;
      if (high < width || wide < width) {
        transpose_edge(high, wide, from, in_step, to, out_step);
        continue;
      }
      // Unrolled, the block stays in registers.
      V block[width];
#pragma GCC unroll 16
      for (int64_t l = 0; l < width; ++l) block[l] = V::load(from + l * in_step);
      transpose(block);
#pragma GCC unroll 16
      for (int64_t l = 0; l < width; ++l) block[l].store(to + l * out_step);
    }
  }
}
