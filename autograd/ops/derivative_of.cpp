// Derivatives of the functions with a vector form as differentiable operations: df of unary_functions.h, with tensors
// in the place of vectors.
#include <qing/autograd/ops/activations.h>
#include <qing/autograd/ops/math.h>
#include <qing/autograd/ops/pointwise_detail.h>
#include <qing/autograd/ops/selection.h>
#include <qing/tensor/ops/compare.h>

#include <numbers>
#include <utility>

namespace qing {
namespace {

// A tensor of the graph, or a number that broadcasts against one.
struct Operand {
  Tensor tensor;  // undefined for a number
  double number = 0;

  Operand(double value) : number(value) {}               // NOLINT(google-explicit-constructor): see set1
  Operand(Tensor value) : tensor(std::move(value)) {}    // NOLINT(google-explicit-constructor)
  static Operand set1(double value) { return {value}; }  // the name that vectors have for it
  bool is_number() const { return !tensor.defined(); }
};

// f of two operands, by the number of tensors among them.
template <class F> Operand combine(const Operand& a, const Operand& b, F f) {
  if (a.is_number()) return b.is_number() ? Operand(f(a.number, b.number)) : Operand(f(Scalar(a.number), b.tensor));
  return b.is_number() ? f(a.tensor, Scalar(b.number)) : f(a.tensor, b.tensor);
}

Operand operator+(const Operand& a, const Operand& b) {
  return combine(a, b, [](const auto& x, const auto& y) { return x + y; });
}
Operand operator-(const Operand& a, const Operand& b) {
  return combine(a, b, [](const auto& x, const auto& y) { return x - y; });
}
Operand operator*(const Operand& a, const Operand& b) {
  return combine(a, b, [](const auto& x, const auto& y) { return x * y; });
}
Operand operator/(const Operand& a, const Operand& b) {
  return combine(a, b, [](const auto& x, const auto& y) { return x / y; });
}
Operand operator-(const Operand& a) { return a.is_number() ? Operand(-a.number) : neg(a.tensor); }
Operand fma(const Operand& a, const Operand& b, const Operand& c) { return a * b + c; }

// Those that df takes only of tensors.
Operand abs(const Operand& x) { return abs(x.tensor); }
Operand exp(const Operand& x) { return exp(x.tensor); }
Operand tanh(const Operand& x) { return tanh(x.tensor); }
Operand sigmoid(const Operand& x) { return sigmoid(x.tensor); }
Operand tanh_of_softplus(const Operand& x) { return tanh(softplus(x.tensor)); }
Operand min(const Operand& high, const Operand& x) { return clamp_max(x.tensor, high.number); }

struct NormalOperand {
  Operand cumulative, density;
};
NormalOperand normal(const Operand& x) {
  constexpr double kRootOfHalf = std::numbers::sqrt2 / 2;
  return {mul(erfc(mul(x.tensor, -kRootOfHalf)), 0.5),
          mul(exp(mul(square(x.tensor), -0.5)), std::numbers::inv_sqrtpi / std::numbers::sqrt2)};
}

// Where a condition holds; no gradient passes through it. One on numbers holds everywhere or nowhere.
struct Condition {
  Tensor where;  // undefined for a condition on numbers
  bool holds = false;
  DType dtype = DType::f32;  // of the tensor that was compared
};

Condition less(const Operand& a, const Operand& b) {
  if (a.is_number() && b.is_number()) return {Tensor(), a.number < b.number};
  if (a.is_number()) return {gt(b.tensor.alias(), a.number), false, b.tensor.dtype()};
  if (b.is_number()) return {lt(a.tensor.alias(), b.number), false, a.tensor.dtype()};
  return {lt(a.tensor.alias(), b.tensor.alias()), false, a.tensor.dtype()};
}
Condition is_nan(const Operand& x) {
  if (x.is_number()) return {Tensor(), x.number != x.number};
  return {isnan(x.tensor.alias()), false, x.tensor.dtype()};
}
Operand select(const Condition& condition, const Operand& a, const Operand& b) {
  if (!condition.where.defined()) return condition.holds ? a : b;
  const auto tensor = [&](const Operand& x) {
    return x.is_number() ? Tensor::full({}, x.number, condition.dtype) : x.tensor;
  };
  return where(condition.where, tensor(a), tensor(b));
}

using Derivative = Operand (*)(Operand x, Operand y, const double* p);

template <size_t... op> constexpr auto derivatives(std::index_sequence<op...>) {
  return std::array<Derivative, sizeof...(op)>{[](Operand x, Operand y, const double* p) {
    return kernels::Function<static_cast<Unary>(op)>::df(std::move(x), std::move(y), p);
  }...};
}

}  // namespace

Tensor derivative_of(Unary function, const Tensor& x, const Tensor& y, const UnaryParameters& parameters) {
  constexpr auto count = static_cast<size_t>(Unary::count);
  static constexpr auto kDerivatives = derivatives(std::make_index_sequence<count>());
  const Operand result = kDerivatives.at(static_cast<size_t>(function))(x, y, parameters.data());
  return result.is_number() ? constant_like(x.defined() ? x : y, result.number) : result.tensor;
}

}  // namespace qing
