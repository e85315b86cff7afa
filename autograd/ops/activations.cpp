// Activations; see pointwise_detail.h.
#include <qing/autograd/ops/activations.h>

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include <qing/autograd/ops/math.h>
#include <qing/autograd/ops/pointwise_detail.h>
#include <qing/autograd/ops/selection.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/ops/compare.h>

namespace qing {
namespace {

std::pair<Tensor, Tensor> halves(const Tensor& x, int64_t dim, const char* op) {
  check_floating(x, op);
  const int64_t size = x.size(wrap_dim(dim, x.dim(), op));
  if (size % 2 != 0) {
    throw ShapeError(fmt::format("{}: dimension {} of {} has no halves", op, dim, to_string(x.shape())));
  }
  return {slice(x, dim, 0, size / 2), slice(x, dim, size / 2, size)};
}

}  // namespace

Tensor sigmoid(const Tensor& x) { return unary<Unary::sigmoid>(x); }

Tensor log_sigmoid(const Tensor& x) { return unary<Unary::log_sigmoid>(x); }

Tensor logit(const Tensor& x, std::optional<double> eps) {
  // Parameters: the bounds, and the derivative outside them. Without eps the function is undefined outside [0, 1]. A
  // negative eps counts as none, as in PyTorch.
  const bool bounded = eps && *eps >= 0;
  const double low = bounded ? *eps : 0, high = 1 - low,
               beyond = bounded ? 0 : std::numeric_limits<double>::quiet_NaN();
  const auto bounded_f = [](auto v, const auto* p) {
    const auto inside = v < p[0] ? p[0] : (v > p[1] ? p[1] : v);
    return std::log(inside / (1 - inside));
  };
  const auto plain_f = [](auto v) { return std::log(v / (1 - v)); };
  const auto df = [](auto v, auto, const auto* p) { return v < p[0] || v > p[1] ? p[2] : 1 / (v * (1 - v)); };
  const auto slope = [=](const Tensor& x, const Tensor&) {
    const Tensor outside = logical_or(lt(x.alias(), low), gt(x.alias(), high));
    return where(outside, beyond, reciprocal(sub(x, square(x))));
  };
  return unary({"logit", bounded ? Loops(bounded_f, df) : Loops(plain_f, df), Uses::input, slope, {low, high, beyond}},
               x);
}

Tensor relu(const Tensor& x) { return unary<Unary::relu>(x); }

Tensor relu6(const Tensor& x) {
  check_floating(x, "relu6");
  return hardtanh(x, 0, 6);
}

Tensor leaky_relu(const Tensor& x, double negative_slope) { return unary<Unary::leaky_relu>(x, {negative_slope}); }

Tensor elu(const Tensor& x, double alpha) { return unary<Unary::elu>(x, {alpha, 1, 1}); }

Tensor selu(const Tensor& x) { return unary<Unary::elu>(x, {1.6732632423543772848, 1.0507009873554804934, 1}, "selu"); }

Tensor celu(const Tensor& x, double alpha) {
  if (!(alpha != 0)) throw ValueError("celu: alpha is 0 or NaN");
  return unary<Unary::elu>(x, {alpha, 1, 1 / alpha}, "celu");
}

Tensor gelu(const Tensor& x) { return gelu(x, Approximation::none); }

Tensor gelu(const Tensor& x, Approximation approximate) {
  return approximate == Approximation::tanh ? unary<Unary::gelu_tanh>(x) : unary<Unary::gelu>(x);
}

Tensor silu(const Tensor& x) { return unary<Unary::silu>(x); }

Tensor mish(const Tensor& x) { return unary<Unary::mish>(x); }

Tensor softplus(const Tensor& x, double beta, double threshold) {
  if (!(beta != 0)) throw ValueError("softplus: beta is 0 or NaN");
  return unary<Unary::softplus>(x, {beta, threshold});
}

Tensor softsign(const Tensor& x) { return unary<Unary::softsign>(x); }

Tensor tanhshrink(const Tensor& x) { return unary<Unary::tanhshrink>(x); }

Tensor hardtanh(const Tensor& x, double low, double high) {
  if (!(low <= high)) throw ValueError(fmt::format("hardtanh: the bounds {} and {} are not in order", low, high));
  return unary<Unary::hardtanh>(x, {low, high});
}

Tensor hardsigmoid(const Tensor& x) { return unary<Unary::hardsigmoid>(x); }

Tensor hardswish(const Tensor& x) { return unary<Unary::hardswish>(x); }

Tensor softshrink(const Tensor& x, double lambda) {
  if (!(lambda >= 0)) throw ValueError(fmt::format("softshrink: lambda {} is below 0", lambda));
  return unary<Unary::softshrink>(x, {lambda});
}

Tensor hardshrink(const Tensor& x, double lambda) { return unary<Unary::hardshrink>(x, {lambda}); }

Tensor threshold(const Tensor& x, double threshold, double value) {
  return unary<Unary::threshold>(x, {threshold, value});
}

Tensor glu(const Tensor& x, int64_t dim) {
  const auto [a, b] = halves(x, dim, "glu");
  return mul(a, sigmoid(b));
}

Tensor swiglu(const Tensor& x, int64_t dim) {
  const auto [a, b] = halves(x, dim, "swiglu");
  return mul(silu(a), b);
}

}  // namespace qing
