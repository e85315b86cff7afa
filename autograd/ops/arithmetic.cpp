// Arithmetic. The sink sums the gradient of a broadcast operand back down to its shape.
#include <qing/autograd/ops/arithmetic.h>

#include <fmt/format.h>

#include <cmath>

#include <qing/autograd/ops/pointwise.h>
#include <qing/tensor/ops/integer.h>

namespace qing {
namespace {

bool is_integer(DType dtype) {
  return dtype == DType::i32 || dtype == DType::i64 || dtype == DType::u8 || dtype == DType::i8;
}

// Floating numbers by the kernels, integers by themselves.
Tensor apply_any(Binary op, IntegerBinary integer, const Tensor& a, const Tensor& b, const char* name) {
  return is_integer(a.dtype()) && is_integer(b.dtype()) ? integer_binary(integer, a, b, name) : apply(op, a, b, name);
}

// A number as an operand beside x: it must not lose its fraction to x's dtype.
Tensor operand(const Tensor& x, double value, const char* name) {
  if (is_integer(x.dtype()) && value != std::floor(value)) {
    throw DTypeError(fmt::format("{}: {} is no integer, beside a tensor of {}; convert it with Tensor::to", name, value,
                                 name_of(x.dtype())));
  }
  return constant_like(x, value);
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
      const Tensor da = div(dy, grad.input(1, b));
      grad.add(0, da);
      // d(a/b)/db = −(a/b)/b
      if (grad.needs(1)) grad.add(1, neg(mul(da, grad.output(y))));
    });
  }
  return y;
}

Tensor add(const Tensor& a, double b) { return add(a, operand(a, b, "add")); }
Tensor sub(const Tensor& a, double b) { return sub(a, operand(a, b, "sub")); }
Tensor sub(double a, const Tensor& b) { return sub(operand(b, a, "sub"), b); }
Tensor mul(const Tensor& a, double b) { return mul(a, operand(a, b, "mul")); }
Tensor div(const Tensor& a, double b) { return div(a, operand(a, b, "div")); }
Tensor div(double a, const Tensor& b) { return div(operand(b, a, "div"), b); }

Tensor neg(const Tensor& x) { return unary({"neg", Unary::neg, Uses::nothing}, x); }

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
  // From the nearer end, so that both ends are met exactly.
  const auto f = [](auto p, auto q, auto w) { return w < decltype(w)(0.5) ? p + w * (q - p) : q - (q - p) * (1 - w); };
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

Tensor lerp(const Tensor& a, const Tensor& b, double weight) { return lerp(a, b, constant_like(a, weight)); }

}  // namespace qing
