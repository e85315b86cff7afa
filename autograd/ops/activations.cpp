// Activations: f, its derivative, and the derivative as an expression; see pointwise_detail.h.
#include <qing/autograd/ops/activations.h>

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include <qing/autograd/ops/math.h>
#include <qing/autograd/ops/pointwise_detail.h>
#include <qing/autograd/ops/selection.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/ops/compare.h>

namespace qing {
namespace {

Tensor slope_of_sigmoid(const Tensor& y) { return sub(y, square(y)); }

// 1 where x > bound, else 0. No gradient passes through it.
Tensor is_above(const Tensor& x, double bound) {
  return map(
      "is_above", [bound](auto v) { return v > static_cast<decltype(v)>(bound); }, x.alias());
}

Tensor scaled_elu(OpName name, const Tensor& x, double alpha, double scale, double input_scale) {
  const auto slope = [=](const Tensor& x, const Tensor&) {
    // For x > 0 the exponential could be infinite, and its gradient NaN.
    const Tensor below = clamp_max(x, 0);
    return where(is_above(x, 0), scale, mul(exp(mul(below, input_scale)), alpha * scale * input_scale));
  };
  return unary({name, Unary::elu, Uses::input, slope, {alpha, scale, input_scale}}, x);
}

std::pair<Tensor, Tensor> halves(const Tensor& x, int64_t dim, const char* op) {
  check_floating(x, op);
  const int64_t size = x.size(wrap_dim(dim, x.dim(), op));
  if (size % 2 != 0) {
    throw ShapeError(fmt::format("{}: dimension {} of {} has no halves", op, dim, to_string(x.shape())));
  }
  return {slice(x, dim, 0, size / 2), slice(x, dim, size / 2, size)};
}

}  // namespace

Tensor sigmoid(const Tensor& x) {
  return unary(
      {"sigmoid", Unary::sigmoid, Uses::output, [](const Tensor&, const Tensor& y) { return slope_of_sigmoid(y); }}, x);
}

Tensor log_sigmoid(const Tensor& x) {
  return unary(
      {"log_sigmoid", Unary::log_sigmoid, Uses::input, [](const Tensor& x, const Tensor&) { return sigmoid(neg(x)); }},
      x);
}

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
    return where(outside, beyond, reciprocal(slope_of_sigmoid(x)));
  };
  return unary({"logit", bounded ? Loops(bounded_f, df) : Loops(plain_f, df), Uses::input, slope, {low, high, beyond}},
               x);
}

Tensor relu(const Tensor& x) { return unary({"relu", Unary::relu, Uses::input}, x); }

Tensor relu6(const Tensor& x) {
  check_floating(x, "relu6");
  return hardtanh(x, 0, 6);
}

Tensor leaky_relu(const Tensor& x, double negative_slope) {
  return unary({"leaky_relu", Unary::leaky_relu, Uses::input, nullptr, {negative_slope}}, x);
}

Tensor elu(const Tensor& x, double alpha) { return scaled_elu("elu", x, alpha, 1, 1); }

Tensor selu(const Tensor& x) { return scaled_elu("selu", x, 1.6732632423543772848, 1.0507009873554804934, 1); }

Tensor celu(const Tensor& x, double alpha) {
  if (!(alpha != 0)) throw ValueError("celu: alpha is 0 or NaN");
  return scaled_elu("celu", x, alpha, 1, 1 / alpha);
}

namespace {

// Φ(x) + x·φ(x)
Tensor slope_of_gelu(const Tensor& x, const Tensor&) {
  const Tensor cumulative = mul(erfc(mul(x, -std::numbers::sqrt2 / 2)), 0.5);
  const Tensor density = mul(exp(mul(square(x), -0.5)), std::numbers::inv_sqrtpi / std::numbers::sqrt2);
  return add(cumulative, mul(x, density));
}

// With s = sigmoid(u): s + x·s·(1 − s)·u'
Tensor slope_of_gelu_tanh(const Tensor& x, const Tensor&) {
  constexpr double k = 2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi, cubic = 0.044715;
  const Tensor s = sigmoid(mul(mul(x, add(mul(square(x), cubic), 1)), k));
  return add(s, mul(mul(x, slope_of_sigmoid(s)), mul(add(mul(square(x), 3 * cubic), 1), k)));
}

}  // namespace

Tensor gelu(const Tensor& x) { return gelu(x, Approximation::none); }

Tensor gelu(const Tensor& x, Approximation approximate) {
  if (approximate == Approximation::tanh) return unary({"gelu", Unary::gelu_tanh, Uses::input, slope_of_gelu_tanh}, x);
  return unary({"gelu", Unary::gelu, Uses::input, slope_of_gelu}, x);
}

Tensor silu(const Tensor& x) {
  const auto slope = [](const Tensor& x, const Tensor&) {
    const Tensor s = sigmoid(x);
    return mul(s, add(mul(x, sub(1, s)), 1));
  };
  return unary({"silu", Unary::silu, Uses::input, slope}, x);
}

Tensor mish(const Tensor& x) {
  const auto slope = [](const Tensor& x, const Tensor&) {
    const Tensor t = tanh(softplus(x));
    return add(t, mul(mul(x, sigmoid(x)), sub(1, square(t))));
  };
  return unary({"mish", Unary::mish, Uses::input, slope}, x);
}

Tensor softplus(const Tensor& x, double beta, double threshold) {
  if (!(beta != 0)) throw ValueError("softplus: beta is 0 or NaN");
  const auto slope = [=](const Tensor& x, const Tensor&) {
    const Tensor z = mul(x, beta);
    return where(is_above(z, threshold), 1, sigmoid(z));
  };
  return unary({"softplus", Unary::softplus, Uses::input, slope, {beta, threshold}}, x);
}

Tensor softsign(const Tensor& x) {
  return unary({"softsign", Unary::softsign, Uses::input,
                [](const Tensor& x, const Tensor&) { return square(reciprocal(add(abs(x), 1))); }},
               x);
}

Tensor tanhshrink(const Tensor& x) {
  return unary(
      {"tanhshrink", Unary::tanhshrink, Uses::input, [](const Tensor& x, const Tensor&) { return square(tanh(x)); }},
      x);
}

Tensor hardtanh(const Tensor& x, double low, double high) {
  if (!(low <= high)) throw ValueError(fmt::format("hardtanh: the bounds {} and {} are not in order", low, high));
  return unary({"hardtanh", Unary::hardtanh, Uses::input, nullptr, {low, high}}, x);
}

Tensor hardsigmoid(const Tensor& x) { return unary({"hardsigmoid", Unary::hardsigmoid, Uses::input}, x); }

Tensor hardswish(const Tensor& x) {
  const auto slope = [](const Tensor& x, const Tensor&) {
    const Tensor inside = hardtanh(x, -3, 3);
    const Tensor flat = map(
        "hardswish", [](auto v) { return v <= -3; }, x.alias());
    const Tensor steep = map(
        "hardswish", [](auto v) { return v >= 3; }, x.alias());
    return where(steep, 1, where(flat, 0, add(mul(inside, 1 / 3.0), 0.5)));
  };
  return unary({"hardswish", Unary::hardswish, Uses::input, slope}, x);
}

Tensor softshrink(const Tensor& x, double lambda) {
  if (!(lambda >= 0)) throw ValueError(fmt::format("softshrink: lambda {} is below 0", lambda));
  return unary({"softshrink", Unary::softshrink, Uses::input, nullptr, {lambda}}, x);
}

Tensor hardshrink(const Tensor& x, double lambda) {
  return unary({"hardshrink", Unary::hardshrink, Uses::input, nullptr, {lambda}}, x);
}

Tensor threshold(const Tensor& x, double threshold, double value) {
  return unary({"threshold", Unary::threshold, Uses::input, nullptr, {threshold, value}}, x);
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
