// The loops over the functions of unary_functions.h, and the functions of two numbers. Included by kernels.inl, in its
// namespaces.

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
