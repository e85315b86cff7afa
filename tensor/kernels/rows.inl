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

// The number of elements that are summed in T. Longer rows are summed in blocks, added in double, so that the error
// does not grow with n.
constexpr int64_t kSumBlock = 4096;

template <class T, class F1> inline T sum_of_blocks(int64_t n, F1 f) {
  double total = 0;
  for (int64_t first = 0; first < n; first += kSumBlock) {
    const int64_t block = n - first < kSumBlock ? n - first : kSumBlock;
    total += static_cast<double>(
        accumulate<T>(block, [=](Vec<T> s, int64_t i, auto part) { return f(s, first + i, part); }).sum());
  }
  return static_cast<T>(total);
}

/// The sum that accumulate() gives, block by block.
template <class T, class F1> inline T sum_of(int64_t n, F1 f) {
  return __builtin_expect(n <= kSumBlock, 1) ? accumulate<T>(n, f).sum() : sum_of_blocks<T>(n, f);
}

template <class T> T dot_kernel(int64_t n, const T* a, const T* b) {
  return sum_of<T>(n, [=](Vec<T> s, int64_t i, auto part) { return fma(load(a + i, part), load(b + i, part), s); });
}

template <class T> T sum_kernel(int64_t n, const T* x) {
  return sum_of<T>(n, [=](Vec<T> s, int64_t i, auto part) { return s + load(x + i, part); });
}

template <class T> T sum_squares_kernel(int64_t n, const T* x) { return dot_kernel(n, x, x); }

/// out[j] += Σ x[r·ldx + j] over the rows, in double.
template <class T> void add_columns_kernel(int64_t rows, int64_t columns, const T* x, int64_t ldx, double* out) {
  using V = Vec<double>;
  constexpr int64_t together = 8;  // number of interleaved sums, which hide the latency of an addition
  int64_t j = 0;
  for (; j + together * V::width <= columns; j += together * V::width) {
    V sums[together];
    for (int64_t k = 0; k < together; ++k) sums[k] = V::load(out + j + k * V::width);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t k = 0; k < together; ++k) sums[k] = sums[k] + load_wide(x + r * ldx + j + k * V::width);
    }
    for (int64_t k = 0; k < together; ++k) sums[k].store(out + j + k * V::width);
  }
  for (; j + V::width <= columns; j += V::width) {
    V sum = V::load(out + j);
    for (int64_t r = 0; r < rows; ++r) sum = sum + load_wide(x + r * ldx + j);
    sum.store(out + j);
  }
  for (; j < columns; ++j) {
    for (int64_t r = 0; r < rows; ++r) out[j] += static_cast<double>(x[r * ldx + j]);
  }
}

/// Calls body(v) for every vector v of x in double. The last one is filled up.
template <class T, class Body> inline void for_wide_lanes(int64_t n, const T* x, double fill, Body body) {
  using V = Vec<double>;
  int64_t i = 0;
  for (; i + V::width <= n; i += V::width) body(load_wide(x + i));
  if (i == n) return;
  double rest[V::width];
  for (int64_t lane = 0; lane < V::width; ++lane) rest[lane] = i + lane < n ? static_cast<double>(x[i + lane]) : fill;
  body(V::load(rest));
}

/// Returns v if the vector is full, otherwise the elements of the row followed by zeros.
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
  // NaN in x must reach the result. max keeps its second operand then, so the running maximum comes first.
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

/// Whether a mean of squares lost nothing significant to overflow or underflow of T.
template <class T> inline bool is_in_range(T squares) {
  constexpr bool narrow = sizeof(T) == 4;
  return squares >= (narrow ? T(0x1p-100) : T(0x1p-900)) && squares <= (narrow ? T(0x1p126) : T(0x1p1022));
}

/// Whether the mean and the variance of a row, summed in T, have the accuracy of T. They do not if the mean is so large
/// compared with the deviations that its rounding affects them, or if squares left T's range. An infinite variance
/// makes the left side NaN.
template <class T> inline bool is_settled(T mean, T variance) {
  const T limit = 16 * variance;
  return mean * mean + 0 * limit < limit;
}

// The statistics of any row, in double. The mean is corrected by the mean of the deviations from it, since a sum of
// equal numbers may differ from their multiple. Equal numbers therefore deviate by 0.
template <class T> [[gnu::noinline, gnu::cold]] RowStatistics<T> careful_statistics(int64_t n, const T* x, T eps) {
  using V = Vec<double>;
  const auto count = static_cast<double>(n);
  V sum = V::set1(0), size = V::set1(0);
  for_wide_lanes(n, x, 0, [&](V v) {
    sum = sum + v;
    size = max(abs(v), size);
  });
  if (size.max() == 0 && sum.sum() == 0)
    return {0, 1 / root_of(eps), 0};  // a fast path for zeros, common in padding; a NaN shows in the sum
  double mean = sum.sum() / count, variance = 0, rest = 0;
  for (int64_t pass = 0; pass < 2; ++pass) {
    mean += rest;
    V off = V::set1(0), squares = V::set1(0);
    for_wide_lanes(n, x, mean, [&](V v) {
      const V d = v - V::set1(mean);
      off = off + d;
      squares = fma(d, d, squares);
    });
    rest = off.sum() / count;
    variance = squares.sum() / count - rest * rest;
  }
  if (variance < 0) variance = 0;
  const double rstd = 1 / __builtin_sqrt(variance + static_cast<double>(eps));
  const T rounded = static_cast<T>(mean);
  const double lost = (mean - static_cast<double>(rounded)) + rest;
  return {rounded, static_cast<T>(rstd), static_cast<T>(-lost * rstd)};
}

template <class T>
void layer_norm_kernel(int64_t n, const T* x, const T* gamma, const T* beta, T eps, T* y,
                       RowStatistics<T>* statistics) {
  using V = Vec<T>;
  const T average = sum_kernel(n, x) / static_cast<T>(n);
  const V rough = V::set1(average);
  const T squares = sum_of<T>(n, [&](V s, int64_t i, auto part) {
    const V d = load(x + i, part, average) - rough;
    return fma(d, d, s);
  });
  const T variance = squares / static_cast<T>(n);
  *statistics = {average, 1 / root_of(variance + eps), 0};
  if (__builtin_expect(!is_settled(average, variance), 0)) *statistics = careful_statistics(n, x, eps);
  const V center = V::set1(statistics->mean), scale = V::set1(statistics->rstd), offset = V::set1(statistics->shift);
  for_lanes<T>(n, [&](int64_t i, auto part) {
    const V normal = fma(load(x + i, part) - center, scale, offset);
    store(fma(normal, load(gamma + i, part), load(beta + i, part)), y + i, part);
  });
}

// With g = dy·gamma: dx = rstd·(g − mean(g) − x̂·mean(g·x̂)).
template <class T>
void layer_norm_backward_kernel(int64_t n, const T* x, const T* gamma, const T* dy, const RowStatistics<T>* statistics,
                                T* dx, T* dgamma, T* dbeta) {
  using V = Vec<T>;
  const V center = V::set1(statistics->mean), scale = V::set1(statistics->rstd), offset = V::set1(statistics->shift);
  const T mean = statistics->mean;
  // Lanes beyond the row's end hold the mean: an infinite x̂ times 0 would be NaN.
  const auto normal_of = [&](int64_t i, auto part) { return fma(load(x + i, part, mean) - center, scale, offset); };
  if (dgamma != nullptr || dbeta != nullptr) {
    for_lanes<T>(n, [&](int64_t i, auto part) {
      const V d = load(dy + i, part);
      if (dgamma != nullptr) store(fma(d, normal_of(i, part), load(dgamma + i, part)), dgamma + i, part);
      if (dbeta != nullptr) store(d + load(dbeta + i, part), dbeta + i, part);
    });
  }
  if (dx == nullptr) return;
  const auto weighted = [&](int64_t i, auto part) { return load(dy + i, part) * load(gamma + i, part); };
  const T total = sum_of<T>(n, [&](V s, int64_t i, auto part) { return s + weighted(i, part); });
  const T along =
      sum_of<T>(n, [&](V s, int64_t i, auto part) { return fma(weighted(i, part), normal_of(i, part), s); });
  const V mean_g = V::set1(total / static_cast<T>(n)), mean_gx = V::set1(along / static_cast<T>(n));
  for_lanes<T>(n, [&](int64_t i, auto part) {
    const V inner = weighted(i, part) - mean_g - normal_of(i, part) * mean_gx;
    store(fma(scale, inner, load(dx + i, part)), dx + i, part);
  });
}

// 1/sqrt(mean(x²) + eps) with squares in double, where squares of f32 cannot overflow.
template <class T> [[gnu::noinline, gnu::cold]] T careful_rms(int64_t n, const T* x, T eps) {
  using V = Vec<double>;
  V squares = V::set1(0);
  for_wide_lanes(n, x, 0, [&](V v) { squares = fma(v, v, squares); });
  return static_cast<T>(1 / __builtin_sqrt(squares.sum() / static_cast<double>(n) + static_cast<double>(eps)));
}

template <class T> void rms_norm_kernel(int64_t n, const T* x, const T* gamma, T eps, T* y, T* rstd) {
  using V = Vec<T>;
  const T inner = sum_squares_kernel(n, x) / static_cast<T>(n) + eps;
  *rstd = is_in_range(inner) ? 1 / root_of(inner) : careful_rms(n, x, eps);
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
  const T along =
      sum_of<T>(n, [&](V s, int64_t i, auto part) { return fma(weighted(i, part), load(x + i, part) * scale, s); });
  const V mean_gx = V::set1(along / static_cast<T>(n));
  for_lanes<T>(n, [&](int64_t i, auto part) {
    const V inner = weighted(i, part) - load(x + i, part) * scale * mean_gx;
    store(fma(scale, inner, load(dx + i, part)), dx + i, part);
  });
}
