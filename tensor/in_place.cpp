// In-place arithmetic. Autograd takes over where a tensor takes part in a graph.
#include <qing/tensor/in_place.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <qing/tensor/convert.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/strided.h>
#include <qing/tensor/wrapping.h>

namespace qing {
namespace {

// x[i] = f(x[i], y[i]), y broadcast and converted.
template <class T, class F> void update_as(Tensor& x, const Tensor& y, F f) {
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
  dispatch_number(x.dtype(), op, [&](auto zero) { update_as<decltype(zero)>(x, y, f); });
  x.bump_version();
  return x;
}

// A number for an operation on x, as a tensor without dimensions.
Tensor number(double value, const Tensor& x, const char* op) {
  if (!is_floating(x.dtype()) && value != std::trunc(value)) {
    throw ValueError(fmt::format("{}: {} is no integer, and the tensor is {}; convert it with Tensor::to", op, value,
                                 name_of(x.dtype())));
  }
  return Tensor::full({}, value, x.dtype());
}

}  // namespace

Tensor& Tensor::add_(const Tensor& other, double alpha) {
  if (const auto* meta = recorder_of(*this, other)) {
    meta->add_(*this, other, alpha);
    return *this;
  }
  const Tensor factor = number(alpha, *this, "add_");
  check_writable(*this, "add_");
  dispatch_number(dtype(), "add_", [&](auto zero) {
    using T = decltype(zero);
    update_as<T>(*this, other, [a = *factor.data<T>()](T x, T y) { return wrapping_add(x, wrapping_mul(a, y)); });
  });
  bump_version();
  return *this;
}
Tensor& Tensor::add_(double value) { return add_(number(value, *this, "add_")); }
Tensor& Tensor::sub_(const Tensor& other, double alpha) { return add_(other, -alpha); }
Tensor& Tensor::sub_(double value) { return sub_(number(value, *this, "sub_")); }

Tensor& Tensor::mul_(const Tensor& other) {
  if (const auto* meta = recorder_of(*this, other)) {
    meta->mul_(*this, other);
    return *this;
  }
  return update(*this, other, "mul_", [](auto x, auto y) { return wrapping_mul(x, y); });
}
Tensor& Tensor::mul_(double value) { return mul_(number(value, *this, "mul_")); }

Tensor& Tensor::div_(const Tensor& other) {
  if (const auto* meta = recorder_of(*this, other)) {
    meta->div_(*this, other);
    return *this;
  }
  check_writable(*this, "div_");
  dispatch_floating(dtype(), "div_", [&](auto zero) {
    using T = decltype(zero);
    update_as<T>(*this, other, [](T x, T y) { return x / y; });
  });
  bump_version();
  return *this;
}
Tensor& Tensor::div_(double value) { return div_(number(value, *this, "div_")); }

Tensor& Tensor::clamp_(std::optional<double> low, std::optional<double> high) {
  if (!low && !high) throw ValueError("clamp_: neither a lower nor an upper bound");
  if (const auto* meta = recorder()) {
    meta->clamp_(*this, low, high);
    return *this;
  }
  if (low) update(*this, number(*low, *this, "clamp_"), "clamp_", [](auto x, auto y) { return x < y ? y : x; });
  if (high) update(*this, number(*high, *this, "clamp_"), "clamp_", [](auto x, auto y) { return x > y ? y : x; });
  return *this;
}

Tensor& Tensor::masked_fill_(const Tensor& mask, double value) {
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
    for_each_run(shape(), {&strides(), &chosen.strides()}, [=, element = convert<T>(value)](const Run& run) {
      for (int64_t i = 0; i < run.count; ++i) {
        if (in[run.offset[1] + i * run.step[1]]) out[run.offset[0] + i * run.step[0]] = element;
      }
    });
  });
  bump_version();
  return *this;
}

}  // namespace qing
