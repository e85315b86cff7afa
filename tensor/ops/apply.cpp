#include <qing/tensor/ops/apply.h>

#include <fmt/format.h>

#include <qing/tensor/defined.h>
#include <qing/tensor/kernels/kernels.h>

namespace qing {

void check_same_dtype(const Tensor& a, const Tensor& b, const char* op) {
  check_defined(a, op);
  check_defined(b, op);
  if (a.dtype() == b.dtype()) return;
  throw DTypeError(fmt::format("{}: dtypes {} and {} differ; convert one with Tensor::to", op, name_of(a.dtype()),
                               name_of(b.dtype())));
}

Tensor apply(Binary op, const Tensor& a, const Tensor& b, const char* name) {
  check_same_dtype(a, b, name);
  const Shape shape = broadcast_shapes(a.shape(), b.shape(), name);
  return dispatch_floating(a.dtype(), name, [&](auto zero) {
    using T = decltype(zero);
    const auto kernel = kernels::kernels<T>().binary[static_cast<size_t>(op)];
    Tensor result = Tensor::empty(shape, a.dtype());
    T* out = result.data<T>();
    for_blocks(shape, {a, b}, Repeat::scalar, [=](int64_t begin, int64_t n, const Lane* lanes) {
      kernel(n, lanes[0].as<T>(), lanes[0].step, lanes[1].as<T>(), lanes[1].step, out + begin);
    });
    return result;
  });
}

void add_into(const Tensor& into, const Tensor& x) {
  dispatch_floating(into.dtype(), "add_into", [&](auto zero) {
    using T = decltype(zero);
    const auto& table = kernels::kernels<T>();
    T* y = into.data<T>();
    for_blocks(into.shape(), {x}, Repeat::copied, [&](int64_t begin, int64_t n, const Lane* lanes) {
      table.add(n, y + begin, lanes[0].as<T>(), y + begin);
    });
  });
}

}  // namespace qing
