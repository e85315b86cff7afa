// Arithmetic. The sink sums the gradient of a broadcast operand back down to its shape.
#include <qing/autograd/ops/arithmetic.h>

#include <cmath>

#include <qing/autograd/ops/pointwise_detail.h>
#include <qing/tensor/defined.h>
#include <qing/tensor/ops/integer.h>

namespace qing {
namespace {

bool is_integer(DType dtype) {
  return dtype == DType::i32 || dtype == DType::i64 || dtype == DType::u8 || dtype == DType::i8;
}

// Kernels compute floating numbers, integer_binary integers.
Tensor apply_any(Binary op, IntegerBinary integer, const Tensor& a, const Tensor& b, const char* name) {
  check_defined(a, name);
  check_defined(b, name);
  return is_integer(a.dtype()) && is_integer(b.dtype()) ? integer_binary(integer, a, b, name) : apply(op, a, b, name);
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  Tensor y = apply_any(Binary::add, IntegerBinary::add, a, b, "add");
  if (recording({a, b})) {
    record("add", y, {a, b}, [](const Tensor& dy, GradSink& grad) {
      grad.add(0, dy);
      grad.add(1, dy);
    });
  }
  return y;
}

Tensor sub(const Tensor& a, const Tensor& b) {
  Tensor y = apply_any(Binary::sub, IntegerBinary::sub, a, b, "sub");
  if (recording({a, b})) {
    record("sub", y, {a, b}, [](const Tensor& dy, GradSink& grad) {
      grad.add(0, dy);
      if (grad.needs(1)) grad.add(1, neg(dy));
    });
  }
  return y;
}

Tensor mul(const Tensor& a, const Tensor& b) {
  Tensor y = apply_any(Binary::mul, IntegerBinary::mul, a, b, "mul");
  if (recording({a, b})) {
    record("mul", y, {a, b}, [a = Saved(a), b = Saved(b)](const Tensor& dy, GradSink& grad) {
      if (grad.needs(0)) grad.add(0, mul(dy, grad.input(1, b)));
      if (grad.needs(1)) grad.add(1, mul(dy, grad.input(0, a)));
    });
  }
  return y;
}

Tensor div(const Tensor& a, const Tensor& b) {
  Tensor y = apply(Binary::div, a, b, "div");
  if (recording({a, b})) {
    record("div", y, {a, b}, [b = Saved(b), y = Saved(y)](const Tensor& dy, GradSink& grad) {
      const Tensor divisor = grad.input(1, b);
      if (grad.needs(0)) grad.add(0, div(dy, divisor));
      // d(a/b)/db = −(a/b)/b. The quotient comes first: dy/b may be 0 where a/b is infinite.
      if (grad.needs(1)) grad.add(1, neg(mul(dy, div(grad.output(y), divisor))));
    });
  }
  return y;
}

Tensor add(const Tensor& a, Scalar b) { return add(a, operand_like(a, b, "add")); }
Tensor sub(const Tensor& a, Scalar b) { return sub(a, operand_like(a, b, "sub")); }
Tensor sub(Scalar a, const Tensor& b) { return sub(operand_like(b, a, "sub"), b); }
Tensor mul(const Tensor& a, Scalar b) { return mul(a, operand_like(a, b, "mul")); }
Tensor div(const Tensor& a, Scalar b) { return div(a, floating_operand(a, b, "div")); }
Tensor div(Scalar a, const Tensor& b) { return div(floating_operand(b, a, "div"), b); }

Tensor neg(const Tensor& x) { return unary<Unary::neg>(x); }

Tensor addcmul(const Tensor& x, const Tensor& a, const Tensor& b, double value) {
  const auto f = [value](auto v, auto p, auto q) { return v + static_cast<decltype(v)>(value) * p * q; };
  Tensor y = map("addcmul", f, x, a, b);
  if (recording({x, a, b})) {
    record("addcmul", y, {x, a, b}, [value, a = Saved(a), b = Saved(b)](const Tensor& dy, GradSink& grad) {
      grad.add(0, dy);
      if (grad.needs(1)) grad.add(1, mul(mul(dy, value), grad.input(2, b)));
      if (grad.needs(2)) grad.add(2, mul(mul(dy, value), grad.input(1, a)));
    });
  }
  return y;
}

Tensor addcdiv(const Tensor& x, const Tensor& a, const Tensor& b, double value) {
  const auto f = [value](auto v, auto p, auto q) { return v + static_cast<decltype(v)>(value) * p / q; };
  Tensor y = map("addcdiv", f, x, a, b);
  if (recording({x, a, b})) {
    record("addcdiv", y, {x, a, b}, [value, a = Saved(a), b = Saved(b)](const Tensor& dy, GradSink& grad) {
      grad.add(0, dy);
      const Tensor da = div(mul(dy, value), grad.input(2, b));
      grad.add(1, da);
      if (grad.needs(2)) grad.add(2, neg(mul(da, div(grad.input(1, a), grad.input(2, b)))));
    });
  }
  return y;
}

Tensor lerp(const Tensor& a, const Tensor& b, const Tensor& weight) {
  // Computed from the nearer end, so that both ends are exact.
  const auto f = [](auto p, auto q, auto w) {
    return std::abs(w) < decltype(w)(0.5) ? p + w * (q - p) : q - (q - p) * (1 - w);
  };
  Tensor y = map("lerp", f, a, b, weight);
  if (recording({a, b, weight})) {
    record("lerp", y, {a, b, weight},
           [a = Saved(a), b = Saved(b), weight = Saved(weight)](const Tensor& dy, GradSink& grad) {
             if (grad.needs(0)) grad.add(0, mul(dy, sub(1, grad.input(2, weight))));
             if (grad.needs(1)) grad.add(1, mul(dy, grad.input(2, weight)));
             if (grad.needs(2)) grad.add(2, mul(dy, sub(grad.input(1, b), grad.input(0, a))));
           });
  }
  return y;
}

Tensor lerp(const Tensor& a, const Tensor& b, double weight) { return lerp(a, b, floating_operand(a, weight, "lerp")); }

}  // namespace qing
