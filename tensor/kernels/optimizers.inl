// Sweeps of the optimizers over one parameter, and bf16 storage of their states. Included by kernels.inl.

/// The gradient of a step: negated to maximize, plus L2 decay. l2 = 0 adds nothing, not even 0·inf.
template <class T> inline Vec<T> slope_of(Vec<T> g, Vec<T> w, Vec<T> sign, T l2) {
  const Vec<T> turned = g * sign;
  return l2 == 0 ? turned : fma(Vec<T>::set1(l2), w, turned);
}

template <class T> void sgd_kernel(int64_t n, T* w, const T* g, T* momentum, const SgdStep<T>& s) {
  using V = Vec<T>;
  const V rate = V::set1(-s.lr), sign = V::set1(s.sign), mu = V::set1(s.momentum), share = V::set1(s.gradient_share);
  for_lanes<T>(n, [&](int64_t i, auto part) {
    const V weight = load(w + i, part);
    V slope = slope_of(load(g + i, part), weight, sign, s.l2);
    if (momentum != nullptr) {
      const V moved = fma(mu, load(momentum + i, part), share * slope);
      store(moved, momentum + i, part);
      slope = s.nesterov ? fma(mu, moved, slope) : moved;
    }
    store(fma(rate, slope, weight), w + i, part);
  });
}

template <class T> void adam_kernel(int64_t n, T* w, const T* g, T* m, T* v, T* v_max, const AdamStep<T>& s) {
  using V = Vec<T>;
  const V size = V::set1(-s.size), sign = V::set1(s.sign), keep = V::set1(s.keep), eps = V::set1(s.eps);
  const V b1 = V::set1(s.beta1), r1 = V::set1(s.one_minus_beta1), b2 = V::set1(s.beta2),
          r2 = V::set1(s.one_minus_beta2);
  const V inverse_root = V::set1(s.inverse_root_c2);
  for_lanes<T>(n, [&](int64_t i, auto part) {
    const V weight = load(w + i, part);
    const V slope = slope_of(load(g + i, part), weight, sign, s.l2);
    const V first = fma(b1, load(m + i, part), r1 * slope);
    V second = fma(b2, load(v + i, part), r2 * slope * slope);
    store(first, m + i, part);
    store(second, v + i, part);
    if (v_max != nullptr) {
      second = max(load(v_max + i, part), second);
      store(second, v_max + i, part);
    }
    const V step = first / fma(sqrt(second), inverse_root, eps);
    store(fma(size, step, keep * weight), w + i, part);
  });
}

template <class T> void adagrad_kernel(int64_t n, T* w, const T* g, T* sum, const AdagradStep<T>& s) {
  using V = Vec<T>;
  const V rate = V::set1(-s.lr), sign = V::set1(s.sign), eps = V::set1(s.eps);
  for_lanes<T>(n, [&](int64_t i, auto part) {
    const V weight = load(w + i, part);
    const V slope = slope_of(load(g + i, part), weight, sign, s.l2);
    const V total = fma(slope, slope, load(sum + i, part));
    store(total, sum + i, part);
    store(fma(rate, slope / (sqrt(total) + eps), weight), w + i, part);
  });
}

template <class T>
void rmsprop_kernel(int64_t n, T* w, const T* g, T* v, T* momentum, T* mean, const RmsPropStep<T>& s) {
  using V = Vec<T>;
  const V rate = V::set1(-s.lr), sign = V::set1(s.sign), eps = V::set1(s.eps), mu = V::set1(s.momentum);
  const V alpha = V::set1(s.alpha), rest = V::set1(s.one_minus_alpha), zero = V::set1(0);
  for_lanes<T>(n, [&](int64_t i, auto part) {
    const V weight = load(w + i, part);
    const V slope = slope_of(load(g + i, part), weight, sign, s.l2);
    V power = fma(alpha, load(v + i, part), rest * slope * slope);
    store(power, v + i, part);
    if (mean != nullptr) {
      const V average = fma(alpha, load(mean + i, part), rest * slope);
      store(average, mean + i, part);
      power = max(zero, power - average * average);  // rounding can leave a variance of 0 below it
    }
    V direction = slope / (sqrt(power) + eps);
    if (momentum != nullptr) {
      direction = fma(mu, load(momentum + i, part), direction);
      store(direction, momentum + i, part);
    }
    store(fma(rate, direction, weight), w + i, part);
  });
}

template <class T> void lion_kernel(int64_t n, T* w, const T* g, T* m, const LionStep<T>& s) {
  using V = Vec<T>;
  const V rate = V::set1(-s.lr), sign = V::set1(s.sign), keep = V::set1(s.keep);
  const V b1 = V::set1(s.beta1), r1 = V::set1(s.one_minus_beta1), b2 = V::set1(s.beta2),
          r2 = V::set1(s.one_minus_beta2);
  const V zero = V::set1(0), one = V::set1(1), minus_one = V::set1(-1);
  for_lanes<T>(n, [&](int64_t i, auto part) {
    const V slope = load(g + i, part) * sign, old = load(m + i, part);
    const V mixed = fma(b1, old, r1 * slope);
    // The sign of x. 0 and NaN stay unchanged.
    const V step = select(less(zero, mixed), one, select(less(mixed, zero), minus_one, mixed));
    store(fma(rate, step, keep * load(w + i, part)), w + i, part);
    store(fma(b2, old, r2 * slope), m + i, part);
  });
}

template <class T> void widen_bf16_kernel(int64_t n, const uint16_t* x, T* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = T(__builtin_bit_cast(float, static_cast<uint32_t>(x[i]) << 16));
}

template <class T>
void round_bf16_kernel(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, const T* x, uint16_t* y) {
  Lanes lanes;
  for (int64_t done = 0; done < n; done += 4 * kBlock) {
    philox_block(seed, stream, (first + static_cast<uint64_t>(done)) / 4, lanes);
    uint32_t noise[4 * kBlock];
    for (int i = 0; i < kBlock; ++i) {
      noise[4 * i] = lanes.x0[i];
      noise[4 * i + 1] = lanes.x1[i];
      noise[4 * i + 2] = lanes.x2[i];
      noise[4 * i + 3] = lanes.x3[i];
    }
    const int64_t left = n - done < 4 * kBlock ? n - done : 4 * kBlock;
    for (int64_t i = 0; i < left; ++i) {
      const uint32_t bits = __builtin_bit_cast(uint32_t, static_cast<float>(x[done + i]));
      const uint32_t magnitude = bits & 0x7fffffffU;
      // A carry moves to the next number of greater magnitude. Infinities stay, and a NaN must not lose its last set
      // bit.
      const uint32_t carry = magnitude < 0x7f800000U ? noise[i] >> 16 : 0;
      const uint32_t quiet = magnitude > 0x7f800000U ? 0x400000U : 0;
      y[done + i] = static_cast<uint16_t>(((bits + carry) | quiet) >> 16);
    }
  }
}
