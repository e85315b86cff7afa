// How a function of one element becomes a differentiable operation. Private to this folder. An operation is described
// as
//
//   Tensor sin(const Tensor& x) {
//     return unary({"sin", Loops([](auto v) { return std::sin(v); }, [](auto v, auto) { return std::cos(v); }),
//     Uses::input,
//                   [](const Tensor& x, const Tensor&) { return cos(x); }}, x);
//   }
//
// by f, its derivative df (of x and y = f(x)), and that derivative as an expression of differentiable operations, for
// second derivatives. A function with a vector form is stated in tensor/kernels/unary_functions.h, and its operation is
//
//   Tensor silu(const Tensor& x) { return unary<Unary::silu>(x); }
#pragma once

#include <array>
#include <functional>
#include <type_traits>
#include <utility>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/arithmetic.h>
#include <qing/tensor/denormals.h>
#include <qing/tensor/kernels/pointwise.h>
#include <qing/tensor/ops/apply.h>

namespace qing {

using kernels::Unary;
using kernels::Uses;

/// The loops of a function for both dtypes. Loops of lambdas keep denormal numbers: the C library's functions are wrong
/// where the processor flushes denormals to zero.
class Loops {
 public:
  Loops(Unary op);  // NOLINT(google-explicit-constructor): the name stands for its loops
  /// From f(v) and df(v, y), lambdas without state; either may take the parameters, a const T*, as its last argument.
  template <class F, class D>
  Loops(F, D) : f32_{forward<float, F>, backward<float, D>}, f64_{forward<double, F>, backward<double, D>} {}

  template <class T> const kernels::UnaryLoops<T>& of() const {
    if constexpr (std::is_same_v<T, float>) {
      return f32_;
    } else {
      return f64_;
    }
  }

 private:
  template <class T, class F> static void forward(int64_t n, const T* x, T* y, const T* p) {
    const KeepDenormals keep;
    for (int64_t i = 0; i < n; ++i) {
      if constexpr (std::is_invocable_v<F, T, const T*>) {
        y[i] = static_cast<T>(F{}(x[i], p));
      } else {
        y[i] = static_cast<T>(F{}(x[i]));
      }
    }
  }
  template <class T, class D>
  static void backward(int64_t n, const T* x, const T* y, const T* dy, T* dx, bool accumulate, const T* p) {
    const KeepDenormals keep;
    for (int64_t i = 0; i < n; ++i) {
      T slope;
      if constexpr (std::is_invocable_v<D, T, T, const T*>) {
        slope = static_cast<T>(D{}(x[i], y[i], p));
      } else {
        slope = static_cast<T>(D{}(x[i], y[i]));
      }
      dx[i] = accumulate ? dx[i] + dy[i] * slope : dy[i] * slope;
    }
  }

  kernels::UnaryLoops<float> f32_;
  kernels::UnaryLoops<double> f64_;
};

/// The derivative as a tensor; x and y are undefined unless the description uses them.
using Slope = std::function<Tensor(const Tensor& x, const Tensor& y)>;

using UnaryParameters = std::array<double, kernels::kUnaryParameters>;

struct Pointwise {
  OpName name;
  Loops loops;
  Uses uses;
  Slope slope = nullptr;  ///< none where the derivative is a constant to further derivatives
  UnaryParameters parameters = {};
};

/// Applies the function to a tensor of any strides; the result is contiguous. f32 or f64 (DTypeError).
Tensor unary(const Pointwise& function, const Tensor& x);

/// The derivative of a function with a vector form, by differentiable operations on x and y.
Tensor derivative_of(Unary function, const Tensor& x, const Tensor& y, const UnaryParameters& parameters);

/// unary() of a function with a vector form, under its own name or another.
template <Unary op>
Tensor unary(const Tensor& x, const UnaryParameters& parameters = {}, OpName name = kernels::Function<op>::name) {
  constexpr Uses uses = kernels::Function<op>::uses;
  Slope slope;
  if (uses != Uses::nothing) {
    slope = [parameters](const Tensor& x, const Tensor& y) { return derivative_of(op, x, y, parameters); };
  }
  return unary({name, op, uses, std::move(slope), parameters}, x);
}

/// A tensor of one element, of x's dtype, that broadcasts against it.
inline Tensor constant_like(const Tensor& x, double value) { return Tensor::full({}, value, x.dtype()); }

/// constant_like for a number that a user passed to the arithmetic operation `op`. An integer tensor takes it modulo
/// 2^bits. DTypeError naming `op` if x holds integers and the number is not one.
Tensor operand_like(const Tensor& x, const Scalar& value, const char* op);

/// constant_like for an operation that takes only floating numbers. DTypeError naming `op` unless x is f32 or f64.
inline Tensor floating_operand(const Tensor& x, const Scalar& value, const char* op) {
  check_floating(x, op);
  return Tensor::full({}, value, x.dtype());
}

/// Adds the gradient dy·share(operands...) to input `i`. share is constant to further derivatives. Where it is 0, so is
/// the gradient, even if dy is infinite.
template <class F, class... Operands>
void add_share(GradSink& grad, size_t i, const Tensor& dy, F share, const Operands&... operands) {
  if (!grad.needs(i)) return;
  if (grad.create_graph()) return grad.add(i, mul(dy, map(grad.op(), share, operands...).to(dy.dtype())));
  const auto scaled = [share](auto slope, auto... values) {
    const auto s = static_cast<decltype(slope)>(share(values...));
    return s == 0 ? s : slope * s;
  };
  grad.add(i, map(grad.op(), scaled, dy, operands...));
}

}  // namespace qing
