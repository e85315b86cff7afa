#include <qing/autograd/ops/pointwise_detail.h>

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include <qing/tensor/defined.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/scalar_rules.h>

namespace qing {
namespace {

template <class T> using Parameters = std::array<T, kernels::kUnaryParameters>;

template <class T> Parameters<T> parameters_of(const Pointwise& function) {
  Parameters<T> p;
  std::transform(function.parameters.begin(), function.parameters.end(), p.begin(),
                 [](double value) { return static_cast<T>(value); });
  return p;
}

Tensor forward(const Pointwise& function, const Tensor& x) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch_floating(x.dtype(), function.name.c_str(), [&](auto zero) {
    using T = decltype(zero);
    T* out = y.data<T>();
    for_blocks(x.shape(), {x}, Repeat::copied,
               [out, kernel = function.loops.of<T>().forward, p = parameters_of<T>(function)](
                   int64_t begin, int64_t n, const Lane* in) { kernel(n, in[0].as<T>(), out + begin, p.data()); });
  });
  return y;
}

// into = dy·f'(x), or += if accumulate.
void backward(const Pointwise& function, const Tensor& x, const Tensor& y, const Tensor& dy, const Tensor& into,
              bool accumulate) {
  dispatch_floating(dy.dtype(), function.name.c_str(), [&](auto zero) {
    using T = decltype(zero);
    T* dx = into.data<T>();
    // The derivative does not read an undefined operand; dy takes its place.
    for_blocks(into.shape(), {x.defined() ? x : dy, y.defined() ? y : dy, dy}, Repeat::copied,
               [dx, accumulate, kernel = function.loops.of<T>().backward, p = parameters_of<T>(function)](
                   int64_t begin, int64_t n, const Lane* in) {
                 kernel(n, in[0].as<T>(), in[1].as<T>(), in[2].as<T>(), dx + begin, accumulate, p.data());
               });
  });
}

Tensor slope_of(const Pointwise& function, const Tensor& x, const Tensor& y, const Tensor& dy) {
  if (function.slope) return function.slope(x, y);
  const Tensor plain = x.defined() ? x.alias() : x;
  Tensor slope = Tensor::empty(dy.shape(), dy.dtype());
  backward(function, plain, y, constant_like(dy, 1), slope, false);
  return slope;
}

}  // namespace

Loops::Loops(Unary op)
    : f32_(kernels::kernels<float>().unary[static_cast<size_t>(op)]),
      f64_(kernels::kernels<double>().unary[static_cast<size_t>(op)]) {}

Tensor operand_like(const Tensor& x, const Scalar& value, const char* op) {
  check_defined(x, op);
  const auto tensor = arithmetic_scalar(value, x.dtype());
  if (tensor) return *tensor;
  throw DTypeError(fmt::format("{}: {} is not an integer, but the tensor is {}; convert it with Tensor::to", op,
                               to_string(value), name_of(x.dtype())));
}

Tensor unary(const Pointwise& function, const Tensor& x) {
  check_defined(x, function.name.c_str());
  Tensor y = forward(function, x);
  if (recording({x})) {
    std::optional<Saved> in, out;
    if (function.uses == Uses::input || function.uses == Uses::both) in.emplace(x);
    if (function.uses == Uses::output || function.uses == Uses::both) out.emplace(y);
    record(function.name, y, {x}, [function, in, out](const Tensor& dy, GradSink& grad) {
      if (grad.create_graph()) {
        const Tensor x = in ? grad.input(0, *in) : Tensor(), y = out ? grad.output(*out) : Tensor();
        return grad.add(0, mul(dy, slope_of(function, x, y, dy)));
      }
      const auto target = grad.target(0);
      backward(function, in ? in->get(grad) : Tensor(), out ? out->get(grad) : Tensor(), dy, target.tensor,
               target.accumulate);
    });
  }
  return y;
}

}  // namespace qing
