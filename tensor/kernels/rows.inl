// Kernels that reduce a row. Included by kernels.inl after elementwise.inl. The order of every sum depends on n alone.

/// Folds f over the lanes of 0..n in two interleaved chains, which hide the latency of an addition.
template <class T, class F1> inline Vec<T> accumulate(int64_t n, F1 f) {
  using V = Vec<T>;
  V a = V::set1(0), b = V::set1(0);
  int64_t i = 0;
  for (; i + 2 * V::width <= n; i += 2 * V::width) {
    a = f(a, i, Full{});
    b = f(b, i + V::width, Full{});
  }
  if (i + V::width <= n) {
    a = f(a, i, Full{});
    i += V::width;
  }
  if (i < n) b = f(b, i, Partial{n - i});
  return a + b;
}

template <class T> T dot_kernel(int64_t n, const T* a, const T* b) {
  return accumulate<T>(n, [&](Vec<T> s, int64_t i, auto part) { return fma(load(a + i, part), load(b + i, part), s); })
      .sum();
}

template <class T> T sum_kernel(int64_t n, const T* x) {
  return accumulate<T>(n, [&](Vec<T> s, int64_t i, auto part) { return s + load(x + i, part); }).sum();
}

template <class T> T sum_squares_kernel(int64_t n, const T* x) { return dot_kernel(n, x, x); }

/// v where a vector is full; at the end of a row what was stored there, and zeros.
template <class T> Vec<T> first_lanes(Vec<T> v, const T*, Full) { return v; }
template <class T> Vec<T> first_lanes(Vec<T>, const T* stored, Partial part) { return load(stored, part); }

float log_of(float x) { return __builtin_logf(x); }
double log_of(double x) { return __builtin_log(x); }
float root_of(float x) { return __builtin_sqrtf(x); }
double root_of(double x) { return __builtin_sqrt(x); }

template <class T> T softmax_kernel(int64_t n, T scale, const T* x, T* y) {
  using V = Vec<T>;
  const V factor = V::set1(scale);
  V top = V::set1(-T(__builtin_inf()));
  // NaN in x must reach the result: max keeps its second operand then, so the running maximum goes first.
  for_lanes<T>(n, [&](int64_t i, auto part) { top = max(top, load(x + i, part, x[0]) * factor); });
  const T largest = top.max();
  const V shift = V::set1(largest);
  const T total = accumulate<T>(n, [&](V s, int64_t i, auto part) {
                    const V p = exp_of_negative(fma(load(x + i, part), factor, V::set1(0) - shift));
                    store(p, y + i, part);
                    return s + first_lanes(p, y + i, part);
                  }).sum();
  scale_kernel(n, 1 / total, y);
  return largest + log_of(total);
}

template <class T>
void layer_norm_kernel(int64_t n, const T* x, const T* gamma, const T* beta, T eps, T* y, T* mean, T* rstd) {
  using V = Vec<T>;
  const T average = sum_kernel(n, x) / static_cast<T>(n);
  const V center = V::set1(average);
  const T squares = accumulate<T>(n, [&](V s, int64_t i, auto part) {
                      const V d = load(x + i, part, average) - center;
                      return fma(d, d, s);
                    }).sum();
  const T inverse = 1 / root_of(squares / static_cast<T>(n) + eps);
  const V scale = V::set1(inverse);
  for_lanes<T>(n, [&](int64_t i, auto part) {
    const V normal = (load(x + i, part) - center) * scale;
    store(fma(normal, load(gamma + i, part), load(beta + i, part)), y + i, part);
  });
  *mean = average;
  *rstd = inverse;
}

// With x̂ = (x−mean)·rstd and g = dy·gamma: dx = rstd·(g − mean(g) − x̂·mean(g·x̂)).
template <class T>
void layer_norm_backward_kernel(int64_t n, const T* x, const T* gamma, const T* dy, T mean, T rstd, T* dx, T* dgamma,
                                T* dbeta) {
  using V = Vec<T>;
  const V center = V::set1(mean), scale = V::set1(rstd);
  if (dgamma != nullptr || dbeta != nullptr) {
    for_lanes<T>(n, [&](int64_t i, auto part) {
      const V d = load(dy + i, part), normal = (load(x + i, part) - center) * scale;
      if (dgamma != nullptr) store(fma(d, normal, load(dgamma + i, part)), dgamma + i, part);
      if (dbeta != nullptr) store(d + load(dbeta + i, part), dbeta + i, part);
    });
  }
  if (dx == nullptr) return;
  const auto weighted = [&](int64_t i, auto part) { return load(dy + i, part) * load(gamma + i, part); };
  const T total = accumulate<T>(n, [&](V s, int64_t i, auto part) { return s + weighted(i, part); }).sum();
  const T along = accumulate<T>(n, [&](V s, int64_t i, auto part) {
                    return fma(weighted(i, part), (load(x + i, part, mean) - center) * scale, s);
                  }).sum();
  const V mean_g = V::set1(total / static_cast<T>(n)), mean_gx = V::set1(along / static_cast<T>(n));
  for_lanes<T>(n, [&](int64_t i, auto part) {
    const V normal = (load(x + i, part) - center) * scale;
    const V inner = weighted(i, part) - mean_g - normal * mean_gx;
    store(fma(scale, inner, load(dx + i, part)), dx + i, part);
  });
}

template <class T> void rms_norm_kernel(int64_t n, const T* x, const T* gamma, T eps, T* y, T* rstd) {
  using V = Vec<T>;
  *rstd = 1 / root_of(sum_squares_kernel(n, x) / static_cast<T>(n) + eps);
  const V scale = V::set1(*rstd);
  for_lanes<T>(n, [&](int64_t i, auto part) { store(load(x + i, part) * scale * load(gamma + i, part), y + i, part); });
}

// With x̂ = x·rstd and g = dy·gamma: dx = rstd·(g − x̂·mean(g·x̂)).
template <class T>
void rms_norm_backward_kernel(int64_t n, const T* x, const T* gamma, const T* dy, T rstd, T* dx, T* dgamma) {
  using V = Vec<T>;
  const V scale = V::set1(rstd);
  if (dgamma != nullptr) {
    for_lanes<T>(n, [&](int64_t i, auto part) {
      store(fma(load(dy + i, part), load(x + i, part) * scale, load(dgamma + i, part)), dgamma + i, part);
    });
  }
  if (dx == nullptr) return;
  const auto weighted = [&](int64_t i, auto part) { return load(dy + i, part) * load(gamma + i, part); };
  const T along = accumulate<T>(n, [&](V s, int64_t i, auto part) {
                    return fma(weighted(i, part), load(x + i, part) * scale, s);
                  }).sum();
  const V mean_gx = V::set1(along / static_cast<T>(n));
  for_lanes<T>(n, [&](int64_t i, auto part) {
    const V inner = weighted(i, part) - load(x + i, part) * scale * mean_gx;
    store(fma(scale, inner, load(dx + i, part)), dx + i, part);
  });
}
