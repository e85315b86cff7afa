// In-place arithmetic. If a tensor takes part in a graph, autograd takes over.
#include <qing/tensor/in_place.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <qing/tensor/defined.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/scalar_rules.h>
#include <qing/tensor/strided.h>
#include <qing/tensor/wrapping.h>

namespace qing {
namespace {

// x[i] = f(x[i], y[i]), with y broadcast and converted. The conversion must not drop a fraction.
template <class T, class F> void update_as(Tensor& x, const Tensor& y, const char* op, F f) {
  if (std::is_integral_v<T> && is_floating(y.dtype())) {
    throw DTypeError(fmt::format("{}: an operand of {} for a tensor of {}; convert one with Tensor::to", op,
                                 name_of(y.dtype()), name_of(x.dtype())));
  }
  const Tensor operand = operand_for(x, y.to(x.dtype()));
  T* const out = x.data<T>();
  const T* const in = operand.data<T>();
  for_each_run(x.shape(), {&x.strides(), &operand.strides()}, [=](const Run& run) {
    T* const to = out + run.offset[0];
    const T* const from = in + run.offset[1];
    const int64_t step = run.step[0];
    if (run.step[1] == 0) {
      const T value = *from;
      for (int64_t i = 0; i < run.count; ++i) to[i * step] = f(to[i * step], value);
    } else if (step == 1 && run.step[1] == 1) {
      for (int64_t i = 0; i < run.count; ++i) to[i] = f(to[i], from[i]);
    } else {
      for (int64_t i = 0; i < run.count; ++i) to[i * step] = f(to[i * step], from[i * run.step[1]]);
    }
  });
}

template <class F> Tensor& update(Tensor& x, const Tensor& y, const char* op, F f) {
  check_writable(x, op);
  dispatch_number(x.dtype(), op, [&](auto zero) { update_as<decltype(zero)>(x, y, op, f); });
  x.bump_version();
  return x;
}

[[noreturn]] void refuse_fraction(const Scalar& value, const Tensor& x, const char* op) {
  throw ValueError(fmt::format("{}: {} is not an integer, but the tensor is {}; convert it with Tensor::to", op,
                               to_string(value), name_of(x.dtype())));
}

// A number as an operand of arithmetic on x.
Tensor number(const Scalar& value, const Tensor& x, const char* op) {
  const auto operand = arithmetic_scalar(value, x.dtype());
  if (!operand) refuse_fraction(value, x, op);
  return *operand;
}

// x[i] = combine(x[i], factor·y[i])
template <class Combine>
Tensor& update_scaled(Tensor& x, const Tensor& y, const Scalar& factor, const char* op, Combine combine) {
  const Tensor a = number(factor, x, op);
  check_writable(x, op);
  dispatch_number(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    update_as<T>(x, y, op, [a = *a.data<T>(), combine](T v, T w) { return combine(v, wrapping_mul(a, w)); });
  });
  x.bump_version();
  return x;
}

// Whether the bound excludes no value of the integer dtype. ValueError for a fraction, or if the bound excludes every
// value.
template <class T> bool bounds_nothing(const Scalar& bound, bool lower, const Tensor& x) {
  if constexpr (std::is_floating_point_v<T>) {
    return false;
  } else {
    using Limits = std::numeric_limits<T>;
    const double value = bound.to_double();
    if (value != std::trunc(value)) refuse_fraction(bound, x, "clamp_");
    const bool below = three_way_compare(Limits::min(), bound) > 0, above = three_way_compare(Limits::max(), bound) < 0;
    if (lower ? above : below) refuse_to_store(bound, x.dtype(), "clamp_");
    return below || above;
  }
}

// The bound as an operand of clamp_; none if it excludes no value.
template <class T> std::optional<Tensor> bound_of(const std::optional<Scalar>& bound, bool lower, const Tensor& x) {
  if (!bound || bounds_nothing<T>(*bound, lower, x)) return std::nullopt;
  return number(*bound, x, "clamp_");
}

}  // namespace

Tensor& Tensor::add_(const Tensor& other, Scalar alpha) {
  check_defined(other, "add_");
  if (const auto* meta = recorder_of(*this, other)) {
    meta->add_(*this, other, alpha);
    return *this;
  }
  return update_scaled(*this, other, alpha, "add_", [](auto x, auto y) { return wrapping_add(x, y); });
}
Tensor& Tensor::add_(Scalar value) { return add_(number(value, *this, "add_")); }
Tensor& Tensor::sub_(const Tensor& other, Scalar alpha) {
  check_defined(other, "sub_");
  if (const auto* meta = recorder_of(*this, other)) {
    meta->sub_(*this, other, alpha);
    return *this;
  }
  return update_scaled(*this, other, alpha, "sub_", [](auto x, auto y) { return wrapping_sub(x, y); });
}
Tensor& Tensor::sub_(Scalar value) { return sub_(number(value, *this, "sub_")); }

Tensor& Tensor::mul_(const Tensor& other) {
  check_defined(other, "mul_");
  if (const auto* meta = recorder_of(*this, other)) {
    meta->mul_(*this, other);
    return *this;
  }
  return update(*this, other, "mul_", [](auto x, auto y) { return wrapping_mul(x, y); });
}
Tensor& Tensor::mul_(Scalar value) { return mul_(number(value, *this, "mul_")); }

Tensor& Tensor::div_(const Tensor& other) {
  check_defined(other, "div_");
  if (const auto* meta = recorder_of(*this, other)) {
    meta->div_(*this, other);
    return *this;
  }
  check_writable(*this, "div_");
  dispatch_floating(dtype(), "div_", [&](auto zero) {
    using T = decltype(zero);
    update_as<T>(*this, other, "div_", [](T x, T y) { return x / y; });
  });
  bump_version();
  return *this;
}
Tensor& Tensor::div_(Scalar value) {
  dispatch_floating(dtype(), "div_", [](auto) {});  // before the number is read
  return div_(number(value, *this, "div_"));
}

Tensor& Tensor::clamp_(std::optional<Scalar> low, std::optional<Scalar> high) {
  if (!low && !high) throw ValueError("clamp_: neither a lower nor an upper bound");
  if ((low && is_nan(*low)) || (high && is_nan(*high))) {
    throw ValueError("clamp_: a bound is NaN; leave it out for none");
  }
  if (const auto* meta = recorder()) {
    meta->clamp_(*this, low, high);
    return *this;
  }
  check_writable(*this, "clamp_");
  dispatch_number(dtype(), "clamp_", [&](auto zero) {
    using T = decltype(zero);
    // Both bounds are checked before anything is written.
    const auto least = bound_of<T>(low, true, *this), most = bound_of<T>(high, false, *this);
    if (least) update_as<T>(*this, *least, "clamp_", [](T x, T y) { return x < y ? y : x; });
    if (most) update_as<T>(*this, *most, "clamp_", [](T x, T y) { return x > y ? y : x; });
  });
  bump_version();
  return *this;
}

Tensor& Tensor::masked_fill_(const Tensor& mask, Scalar value) {
  if (mask.dtype() != DType::boolean) {
    throw DTypeError(fmt::format("masked_fill_: the mask is {}, not bool; make it with ne", name_of(mask.dtype())));
  }
  if (const auto* meta = recorder()) {
    meta->masked_fill_(*this, mask, value);
    return *this;
  }
  check_writable(*this, "masked_fill_");
  const Tensor chosen = operand_for(*this, mask);
  dispatch_all(dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* const out = data<T>();
    const bool* const in = chosen.data<bool>();
    for_each_run(shape(), {&strides(), &chosen.strides()},
                 [=, element = stored_as<T>(value, "masked_fill_")](const Run& run) {
                   for (int64_t i = 0; i < run.count; ++i) {
                     if (in[run.offset[1] + i * run.step[1]]) out[run.offset[0] + i * run.step[0]] = element;
                   }
                 });
  });
  bump_version();
  return *this;
}

}  // namespace qing
