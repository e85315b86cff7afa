#include <qing/tensor/ops/elementwise.h>

#include <fmt/format.h>

#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>

namespace qing {

void check_same_dtype(const Tensor& a, const Tensor& b, const char* op) {
  if (a.dtype() == b.dtype()) return;
  throw DTypeError(fmt::format("{}: dtypes {} and {} differ; convert one with Tensor::to", op, name_of(a.dtype()),
                               name_of(b.dtype())));
}

Tensor apply(Binary op, const Tensor& a, const Tensor& b, const char* name) {
  check_same_dtype(a, b, name);
  const Shape shape = broadcast_shapes(a.shape(), b.shape(), name);
  return dispatch_floating(a.dtype(), name, [&](auto zero) {
    using T = decltype(zero);
    const Tensor left = a.expand(shape).contiguous();
    const Tensor right = b.expand(shape).contiguous();
    Tensor result = Tensor::empty(shape, a.dtype());
    const int64_t n = result.numel();
    const T* x = left.data<T>();
    const T* y = right.data<T>();
    T* z = result.data<T>();
    switch (op) {
      case Binary::add: map(n, x, y, z, [](T p, T q) { return p + q; }); break;
      case Binary::sub: map(n, x, y, z, [](T p, T q) { return p - q; }); break;
      case Binary::mul: map(n, x, y, z, [](T p, T q) { return p * q; }); break;
      case Binary::div: map(n, x, y, z, [](T p, T q) { return p / q; }); break;
    }
    return result;
  });
}

void add_into(const Tensor& into, const Tensor& x) {
  dispatch_floating(into.dtype(), "add_into", [&](auto zero) {
    using T = decltype(zero);
    const Tensor source = x.contiguous();
    const auto& table = kernels::kernels<T>();
    T* y = into.data<T>();
    const T* from = source.data<T>();
    parallel_for(into.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
      table.add(end - begin, y + begin, from + begin, y + begin);
    });
  });
}

}  // namespace qing
