// Each function of pointwise.h: f, and df of x, y = f(x) and the parameters p. Included by kernels.inl, in its
// namespaces. At points without a derivative df is PyTorch's choice. pointwise.h states the accuracy.

template <Unary op> struct Function;

/// NaN where x is NaN, else y.
template <class V> inline V unless_nan(V x, V y) { return select(is_nan(x), x, y); }
/// 0 where a ≤ b, else 1.
template <class V> inline V above(V a, V b) {
  const V one = V::set1(1);
  return select(less(b, a), one, select(is_nan(a), one, select(is_nan(b), one, V::set1(0))));
}

template <> struct Function<Unary::neg> {
  template <class V> static V f(V x, const auto*) { return -x; }
  template <class V> static V df(V, V, const auto*) { return V::set1(-1); }
};
template <> struct Function<Unary::sign> {
  template <class V> static V f(V x, const auto*) {
    const V zero = V::set1(0);
    return if_positive(x, V::set1(1), select(less(x, zero), V::set1(-1), zero));
  }
  template <class V> static V df(V, V, const auto*) { return V::set1(0); }
};
template <> struct Function<Unary::abs> {
  template <class V> static V f(V x, const auto*) { return abs(x); }
  template <class V> static V df(V x, V, const auto* p) { return Function<Unary::sign>::f(x, p); }
};
template <> struct Function<Unary::sqrt> {
  template <class V> static V f(V x, const auto*) { return sqrt(x); }
  template <class V> static V df(V, V y, const auto*) { return 0.5 / y; }
};
template <> struct Function<Unary::rsqrt> {
  template <class V> static V f(V x, const auto*) { return 1 / sqrt(x); }
  template <class V> static V df(V, V y, const auto*) { return y * y * y * -0.5; }
};
template <> struct Function<Unary::square> {
  template <class V> static V f(V x, const auto*) { return x * x; }
  template <class V> static V df(V x, V, const auto*) { return x + x; }
};
template <> struct Function<Unary::reciprocal> {
  template <class V> static V f(V x, const auto*) { return 1 / x; }
  template <class V> static V df(V, V y, const auto*) { return -(y * y); }
};
template <> struct Function<Unary::exp> {
  template <class V> static V f(V x, const auto*) { return exp(x); }
  template <class V> static V df(V, V y, const auto*) { return y; }
};
template <> struct Function<Unary::expm1> {
  template <class V> static V f(V x, const auto*) { return expm1(x); }
  template <class V> static V df(V, V y, const auto*) { return y + 1; }
};
template <> struct Function<Unary::log> {
  template <class V> static V f(V x, const auto*) { return log(x); }
  template <class V> static V df(V x, V, const auto*) { return 1 / x; }
};

struct StepFunction {
  template <class V> static V df(V, V, const auto*) { return V::set1(0); }
};
template <> struct Function<Unary::floor> : StepFunction {
  template <class V> static V f(V x, const auto*) { return floor(x); }
};
template <> struct Function<Unary::ceil> : StepFunction {
  template <class V> static V f(V x, const auto*) { return ceil(x); }
};
template <> struct Function<Unary::round> : StepFunction {
  template <class V> static V f(V x, const auto*) { return round_half_even(x); }
};
template <> struct Function<Unary::trunc> : StepFunction {
  template <class V> static V f(V x, const auto*) { return trunc(x); }
};
template <> struct Function<Unary::frac> {
  template <class V> static V f(V x, const auto*) { return x - trunc(x); }
  template <class V> static V df(V, V, const auto*) { return V::set1(1); }
};

template <> struct Function<Unary::tanh> {
  template <class V> static V f(V x, const auto*) { return tanh(x); }
  template <class V> static V df(V, V y, const auto*) { return 1 - y * y; }
};
template <> struct Function<Unary::sigmoid> {
  template <class V> static V f(V x, const auto*) { return sigmoid(x); }
  template <class V> static V df(V, V y, const auto*) { return y * (1 - y); }
};
template <> struct Function<Unary::log_sigmoid> {
  template <class V> static V f(V x, const auto*) {
    return min(V::set1(0), x) - log1p_of_fraction(exp(-abs(x)));  // min(x, 0) − ln(1 + e^−|x|)
  }
  template <class V> static V df(V x, V, const auto*) { return sigmoid(-x); }
};
template <> struct Function<Unary::silu> {
  template <class V> static V f(V x, const auto*) { return x / (1 + exp(-x)); }
  template <class V> static V df(V x, V, const auto*) {
    const V s = sigmoid(x);
    return s * (1 + x * (1 - s));
  }
};
template <> struct Function<Unary::mish> {  // Misra 2019
  template <class V> static V f(V x, const auto*) { return x * tanh_of_softplus(x); }
  template <class V> static V df(V x, V, const auto*) {
    const V t = tanh_of_softplus(x);
    return t + x * sigmoid(x) * (1 - t * t);
  }
};
template <> struct Function<Unary::softsign> {
  template <class V> static V f(V x, const auto*) { return x / (1 + abs(x)); }
  template <class V> static V df(V x, V, const auto*) {
    const V d = 1 + abs(x);
    return 1 / (d * d);
  }
};
template <> struct Function<Unary::tanhshrink> {
  template <class V> static V f(V x, const auto*) { return x - tanh(x); }
  template <class V> static V df(V x, V, const auto*) {
    const V t = tanh(x);
    return t * t;
  }
};
template <> struct Function<Unary::gelu> {
  template <class V> static V f(V x, const auto*) { return x * normal(x).cumulative; }
  template <class V> static V df(V x, V, const auto*) {
    const auto d = normal(x);
    return fma(x, d.density, d.cumulative);
  }
};
// 0.5·x·(1 + tanh u) = x·sigmoid(2u) (Hendrycks & Gimpel 2016), which does not cancel in the left tail.
template <> struct Function<Unary::gelu_tanh> {
  template <class V> static V f(V x, const auto*) { return x * sigmoid(gelu_argument(x)); }
  template <class V> static V df(V x, V, const auto*) {
    const V s = sigmoid(gelu_argument(x));
    return s + x * s * (1 - s) * gelu_argument_slope(x);
  }
};
template <> struct Function<Unary::softplus> {  // ln(1 + e^{beta·x})/beta, x above threshold
  template <class V> static V f(V x, const auto* p) {
    const V z = x * p[0];
    return select(less(V::set1(p[1]), z), x, log_of_one_plus_exp(z) / V::set1(p[0]));
  }
  template <class V> static V df(V x, V, const auto* p) {
    const V z = x * p[0];
    return select(less(V::set1(p[1]), z), V::set1(1), sigmoid(z));
  }
};

template <> struct Function<Unary::relu> {
  template <class V> static V f(V x, const auto*) { return max(V::set1(0), x); }  // NaN stays
  template <class V> static V df(V x, V, const auto*) { return above(x, V::set1(0)); }
};
template <> struct Function<Unary::leaky_relu> {
  template <class V> static V f(V x, const auto* p) { return if_positive(x, x, x * p[0]); }
  template <class V> static V df(V x, V, const auto* p) { return if_positive(x, V::set1(1), V::set1(p[0])); }
};
template <> struct Function<Unary::elu> {
  template <class V> static V f(V x, const auto* p) {
    return if_positive(x, x * p[1], expm1(x * p[2]) * (p[0] * p[1]));
  }
  template <class V> static V df(V x, V, const auto* p) {
    return if_positive(x, V::set1(p[1]), exp(x * p[2]) * (p[0] * p[1] * p[2]));
  }
};
template <> struct Function<Unary::hardsigmoid> {
  template <class V> static V f(V x, const auto*) { return min(V::set1(6), max(V::set1(0), x + 3)) / V::set1(6); }
  template <class V> static V df(V x, V, const auto*) {
    const V zero = V::set1(0);
    return select(less(abs(x), V::set1(3)), 1 / V::set1(6), zero);
  }
};
template <> struct Function<Unary::hardswish> {
  template <class V> static V f(V x, const auto* p) { return x * Function<Unary::hardsigmoid>::f(x, p); }
  template <class V> static V df(V x, V, const auto*) {
    const V three = V::set1(3), inside = x / three + 0.5;
    return select(less(x, three), select(less(-three, x), inside, V::set1(0)), V::set1(1));  // 1 for NaN
  }
};
template <> struct Function<Unary::hardshrink> {
  template <class V> static V f(V x, const auto* p) {
    return select(less(V::set1(p[0]), abs(x)), x, unless_nan(x, V::set1(0)));
  }
  template <class V> static V df(V x, V, const auto* p) { return above(abs(x), V::set1(p[0])); }
};
template <> struct Function<Unary::softshrink> {
  template <class V> static V f(V x, const auto* p) {
    const V l = V::set1(p[0]), zero = unless_nan(x, V::set1(0));
    return select(less(l, x), x - l, select(less(x, -l), x + l, zero));
  }
  template <class V> static V df(V x, V y, const auto* p) { return Function<Unary::hardshrink>::df(x, y, p); }
};
template <> struct Function<Unary::threshold> {
  template <class V> static V f(V x, const auto* p) {
    return select(less(V::set1(p[0]), x), x, unless_nan(x, V::set1(p[1])));
  }
  template <class V> static V df(V x, V, const auto* p) { return above(x, V::set1(p[0])); }
};
template <> struct Function<Unary::clamp> {
  template <class V> static V f(V x, const auto* p) { return min(V::set1(p[1]), max(V::set1(p[0]), x)); }  // NaN stays
  template <class V> static V df(V x, V, const auto* p) {  // 0 at the bounds and for NaN
    const V at_low = V::set1(p[2] < 0 ? 1 : 0), at_high = V::set1(p[2] > 0 ? 1 : 0), one = V::set1(1);
    return select(less(V::set1(p[0]), x), one, at_low) * select(less(x, V::set1(p[1])), one, at_high);
  }
};
template <> struct Function<Unary::hardtanh> {
  template <class V> static V f(V x, const auto* p) { return Function<Unary::clamp>::f(x, p); }
  template <class V> static V df(V x, V, const auto* p) {  // 0 at the bounds, 1 for NaN
    return above(x, V::set1(p[0])) * above(V::set1(p[1]), x);
  }
};

template <Binary op> struct FunctionOfTwo;

template <> struct FunctionOfTwo<Binary::add> {
  template <class V> static V f(V a, V b) { return a + b; }
};
template <> struct FunctionOfTwo<Binary::sub> {
  template <class V> static V f(V a, V b) { return a - b; }
};
template <> struct FunctionOfTwo<Binary::mul> {
  template <class V> static V f(V a, V b) { return a * b; }
};
template <> struct FunctionOfTwo<Binary::div> {
  template <class V> static V f(V a, V b) { return a / b; }
};
template <> struct FunctionOfTwo<Binary::maximum> {
  template <class V> static V f(V a, V b) { return unless_nan(a, max(a, b)); }  // max gives b where either is NaN
};
template <> struct FunctionOfTwo<Binary::minimum> {
  template <class V> static V f(V a, V b) { return unless_nan(a, min(a, b)); }
};

// The parameters are read once, because the compiler must assume that y and p overlap.
template <class T> struct Parameters {
  T p[kUnaryParameters];
  explicit Parameters(const T* from) {
    for (size_t i = 0; i < kUnaryParameters; ++i) p[i] = from[i];
  }
};

template <Unary op, class T> void unary_kernel(int64_t n, const T* x, T* y, const T* p) {
  const Parameters<T> own(p);
  map_lanes(n, x, y, [&](Vec<T> v) { return Function<op>::f(v, own.p); });
}

template <Unary op, class T>
void unary_backward_kernel(int64_t n, const T* x, const T* y, const T* dy, T* dx, bool accumulate, const T* p) {
  const Parameters<T> own(p);
  for_lanes<T>(n, [&](int64_t i, auto part) {
    const Vec<T> slope = Function<op>::df(load(x + i, part), load(y + i, part), own.p);
    const Vec<T> gradient = load(dy + i, part) * slope;
    store(accumulate ? load(dx + i, part) + gradient : gradient, dx + i, part);
  });
}

template <Binary op, class T>
void binary_kernel(int64_t n, const T* a, int64_t step_a, const T* b, int64_t step_b, T* y) {
  const auto loop = [&](auto left, auto right) {
    for_lanes<T>(
        n, [&](int64_t i, auto part) { store(FunctionOfTwo<op>::f(left(i, part), right(i, part)), y + i, part); });
  };
  const auto row = [](const T* p) { return [p](int64_t i, auto part) { return load(p + i, part); }; };
  const auto one = [](const T* p) { return [v = Vec<T>::set1(*p)](int64_t, auto) { return v; }; };
  if (n == 0) return;
  if (step_a == 1 && step_b == 1) return loop(row(a), row(b));
  if (step_a == 1) return loop(row(a), one(b));
  if (step_b == 1) return loop(one(a), row(b));
  loop(one(a), one(b));
}

template <class T, size_t... op>
constexpr std::array<UnaryLoops<T>, sizeof...(op)> make_unary(std::index_sequence<op...>) {
  return {UnaryLoops<T>{unary_kernel<static_cast<Unary>(op), T>, unary_backward_kernel<static_cast<Unary>(op), T>}...};
}
template <class T, size_t... op>
constexpr std::array<BinaryLoop<T>, sizeof...(op)> make_binary(std::index_sequence<op...>) {
  return {binary_kernel<static_cast<Binary>(op), T>...};
}
