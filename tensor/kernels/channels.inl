// Norms of channels: the runs of pixels of one channel in all images, as one row. Included by kernels.inl. Sums are in
// double. The rest of a run that fills no vector is summed element by element.

// Calls vectors(i) for every vector of doubles in a run, and rest(i) for every element behind the last.
template <class Vectors, class Rest>
inline void for_wide(const ChannelRuns& c, const Vectors& vectors, const Rest& rest) {
  for (int64_t r = 0, first = 0; r < c.runs; ++r, first += c.step) {
    int64_t i = first;
    const int64_t end = first + c.length;
    for (; i + Vec<double>::width <= end; i += Vec<double>::width) vectors(i);
    for (; i < end; ++i) rest(i);
  }
}

template <class T> void channel_moments_kernel(const ChannelRuns& c, const T* x, T pivot, double* sums) {
  using D = Vec<double>;
  const auto wide_pivot = static_cast<double>(pivot);
  const D around = D::set1(wide_pivot);
  D total = D::set1(0), squares = D::set1(0);
  double rest = 0, rest_squares = 0;
  for_wide(
      c,
      [&](int64_t i) {
        const D d = load_wide(x + i) - around;
        total = total + d;
        squares = fma(d, d, squares);
      },
      [&](int64_t i) {
        const double d = static_cast<double>(x[i]) - wide_pivot;
        rest += d;
        rest_squares += d * d;
      });
  sums[0] = total.sum() + rest;
  sums[1] = squares.sum() + rest_squares;
}

template <class T>
void channel_gradient_sums_kernel(const ChannelRuns& c, const T* x, const T* dy, const T* y, T mean, double* sums) {
  using D = Vec<double>;
  const auto wide_mean = static_cast<double>(mean);
  const D around = D::set1(wide_mean), zero = D::set1(0);
  D total = zero, along = zero;
  double rest = 0, rest_along = 0;
  for_wide(
      c,
      [&](int64_t i) {
        D g = load_wide(dy + i);
        if (y != nullptr) g = select(less(zero, load_wide(y + i)), g, zero);
        total = total + g;
        along = fma(g, load_wide(x + i) - around, along);
      },
      [&](int64_t i) {
        const double g = y == nullptr || y[i] > 0 ? static_cast<double>(dy[i]) : 0;
        rest += g;
        rest_along += g * (static_cast<double>(x[i]) - wide_mean);
      });
  sums[0] = total.sum() + rest;
  sums[1] = along.sum() + rest_along;
}

template <class T>
void channel_affine_kernel(const ChannelRuns& c, const T* x, T mean, T factor, T shift, const T* residual, bool relu,
                           T* y) {
  using V = Vec<T>;
  const V around = V::set1(mean), by = V::set1(factor), to = V::set1(shift);
  for (int64_t r = 0, first = 0; r < c.runs; ++r, first += c.step) {
    for_lanes<T>(c.length, [&](int64_t i, auto part) {
      V v = fma(load(x + first + i, part) - around, by, to);
      if (residual != nullptr) v = v + load(residual + first + i, part);
      // The second operand is kept when it is NaN.
      if (relu) v = max(V::set1(0), v);
      store(v, y + first + i, part);
    });
  }
}

template <class T> void channel_gradient_kernel(const ChannelRuns& c, const ChannelGradient<T>& k) {
  using V = Vec<T>;
  const V mean = V::set1(k.mean), rstd = V::set1(k.rstd), shift = V::set1(k.shift), factor = V::set1(k.factor);
  const V mean_g = V::set1(k.mean_g), less_along = V::set1(-k.mean_along);
  for (int64_t r = 0, first = 0; r < c.runs; ++r, first += c.step) {
    for_lanes<T>(c.length, [&](int64_t j, auto part) {
      const int64_t i = first + j;
      V g = load(k.dy + i, part);
      if (k.y != nullptr) g = select(less(V::set1(0), load(k.y + i, part)), g, V::set1(0));
      if (k.dx != nullptr) {
        const V normal = fma(load(k.x + i, part) - mean, rstd, shift);
        const V d = factor * fma(normal, less_along, g - mean_g);
        store(k.add_dx ? load(k.dx + i, part) + d : d, k.dx + i, part);
      }
      if (k.dresidual != nullptr) store(k.add_dresidual ? load(k.dresidual + i, part) + g : g, k.dresidual + i, part);
    });
  }
}
