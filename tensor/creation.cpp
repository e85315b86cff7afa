#include <qing/tensor/creation.h>

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include <qing/tensor/convert.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/scalar_rules.h>

namespace qing {
namespace {

// A 1-D tensor whose element i is value(i), a Scalar.
template <class F> Tensor sequence(int64_t n, DType dtype, const char* op, F value) {
  Tensor tensor = Tensor::empty({n}, dtype);
  dispatch_all(dtype, [&](auto zero) {
    using T = decltype(zero);
    T* const out = tensor.data<T>();
    for (int64_t i = 0; i < n; ++i) out[i] = stored_as<T>(value(i), op);
  });
  return tensor;
}

__extension__ typedef __int128 Int128;  // holds differences and multiples of 64-bit numbers

// The number as an integer, if it is one that fits 64 bits.
std::optional<int64_t> as_int64(const Scalar& value) {
  const auto bits = modulo_2_64(value);
  if (!bits) return std::nullopt;
  const auto number = static_cast<int64_t>(*bits);
  return three_way_compare(number, value) == 0 ? std::optional(number) : std::nullopt;
}

// The shape of nested lists, taken from the first list of each level.
Shape shape_of(const NestedValues& values) {
  Shape shape;
  const NestedValues* level = &values;
  while (const auto* list = std::get_if<std::vector<NestedValues>>(&level->value())) {
    shape.push_back(static_cast<int64_t>(list->size()));
    if (list->empty()) break;
    level = &list->front();
  }
  return shape;
}

template <class T> void flatten_into(const NestedValues& values, const Shape& shape, size_t dim, T*& out) {
  const auto put = [&](const auto& value) {
    using Value = std::decay_t<decltype(value)>;
    constexpr bool is_list = std::is_same_v<Value, std::vector<NestedValues>>;
    if constexpr (is_list) {
      if (dim < shape.size() && static_cast<int64_t>(value.size()) == shape[dim]) {
        for (const NestedValues& entry : value) flatten_into(entry, shape, dim + 1, out);
        return;
      }
    } else if (dim == shape.size()) {
      *out++ = stored_as<T>(value, "Tensor::of");
      return;
    }
    throw ShapeError(
        fmt::format("Tensor::of: the lists differ in length or depth: the first of each make the shape {}, but {} "
                    "stands in dimension {}; give lists of equal lengths",
                    to_string(shape), is_list ? "a list of another length" : "a number", dim));
  };
  std::visit(put, values.value());
}

}  // namespace

Tensor Tensor::of(const NestedValues& values, DType dtype) {
  Tensor tensor = empty(shape_of(values), dtype);
  dispatch_all(dtype, [&](auto zero) {
    using T = decltype(zero);
    T* out = tensor.data<T>();
    flatten_into(values, tensor.shape(), 0, out);
  });
  return tensor;
}

Tensor Tensor::arange(int64_t n, DType dtype) {
  return sequence(n, dtype, "arange", [](int64_t i) { return Scalar(i); });
}

Tensor empty(Shape shape, DType dtype) { return Tensor::empty(std::move(shape), dtype); }
Tensor zeros(Shape shape, DType dtype) { return Tensor::zeros(std::move(shape), dtype); }
Tensor ones(Shape shape, DType dtype) { return Tensor::full(std::move(shape), 1, dtype); }
Tensor full(Shape shape, Scalar value, DType dtype) { return Tensor::full(std::move(shape), value, dtype); }
Tensor scalar_tensor(Scalar value, DType dtype) { return Tensor::full({}, value, dtype); }
Tensor empty_like(const Tensor& x) { return Tensor::empty(x.shape(), x.dtype()); }
Tensor zeros_like(const Tensor& x) { return Tensor::zeros(x.shape(), x.dtype()); }
Tensor ones_like(const Tensor& x) { return Tensor::full(x.shape(), 1, x.dtype()); }
Tensor full_like(const Tensor& x, Scalar value) { return Tensor::full(x.shape(), value, x.dtype()); }

Tensor arange(Scalar start, Scalar end, Scalar step, DType dtype) {
  const double low = start.to_double(), high = end.to_double(), by = step.to_double();
  const auto first = as_int64(start), last = as_int64(end), stride = as_int64(step);
  const bool exact = first && last && stride && *stride != 0;
  const Int128 distance = exact ? static_cast<Int128>(*last) - *first : 0;
  const bool leads_away = exact ? (*stride < 0 ? distance > 0 : distance < 0) : (by < 0 ? low < high : low > high);
  if (!std::isfinite(low) || !std::isfinite(high) || !std::isfinite(by) || by == 0 || leads_away) {
    throw ValueError(
        fmt::format("arange: from {} to {} by steps of {}", to_string(start), to_string(end), to_string(step)));
  }
  const Int128 whole = exact ? distance / *stride + (distance % *stride != 0 ? 1 : 0) : 0;
  const double count = exact ? static_cast<double>(whole) : std::ceil((high - low) / by);
  if (count >= 0x1p53) throw ValueError(fmt::format("arange: {} elements are too many", count));
  return sequence(static_cast<int64_t>(count), dtype, "arange", [=](int64_t i) {
    // Every number before an end of 64 bits fits 64 bits.
    return exact ? Scalar(static_cast<int64_t>(*first + static_cast<Int128>(i) * *stride))
                 : Scalar(low + static_cast<double>(i) * by);
  });
}

Tensor linspace(double start, double end, int64_t steps, DType dtype) {
  const double step = steps > 1 ? (end - start) / static_cast<double>(steps - 1) : 0;
  // Computed from both ends, so that the last element is exactly `end`.
  return sequence(steps, dtype, "linspace", [=](int64_t i) {
    return Scalar(i < (steps + 1) / 2 ? start + static_cast<double>(i) * step
                                      : end - static_cast<double>(steps - 1 - i) * step);
  });
}

Tensor eye(int64_t n, DType dtype) { return eye(n, n, dtype); }
Tensor eye(int64_t n, int64_t m, DType dtype) {
  Tensor result = Tensor::zeros({n, m}, dtype);
  result.diagonal().fill(1);
  return result;
}

Tensor rand(Shape shape, Generator& generator, DType dtype) {
  Tensor result = Tensor::empty(std::move(shape), dtype);
  generator.fill_uniform(result, 0, 1);
  return result;
}

Tensor randn(Shape shape, Generator& generator, DType dtype) {
  Tensor result = Tensor::empty(std::move(shape), dtype);
  generator.fill_normal(result, 0, 1);
  return result;
}

Tensor rand_like(const Tensor& x, Generator& generator) { return rand(x.shape(), generator, x.dtype()); }
Tensor randn_like(const Tensor& x, Generator& generator) { return randn(x.shape(), generator, x.dtype()); }
Tensor randint_like(const Tensor& x, int64_t low, int64_t high, Generator& generator) {
  return randint(low, high, x.shape(), generator, x.dtype());
}

Tensor randint(int64_t low, int64_t high, Shape shape, Generator& generator, DType dtype) {
  if (low >= high) throw ValueError(fmt::format("randint: no integer in [{}, {})", low, high));
  Tensor result = Tensor::empty(std::move(shape), DType::i64);
  generator.fill_integers(result, low, high);
  const bool held = dispatch_number(dtype, "randint", [&](auto zero) {
    using T = decltype(zero);
    return convert<int64_t>(convert<T>(low)) == low && convert<int64_t>(convert<T>(high - 1)) == high - 1;
  });
  if (!held) throw ValueError(fmt::format("randint: {} does not hold [{}, {})", name_of(dtype), low, high));
  return result.to(dtype);
}

Tensor randperm(int64_t n, Generator& generator) {
  Tensor result = Tensor::arange(n);
  int64_t* const values = result.data<int64_t>();
  Tensor draws = Tensor::empty({n}, DType::i64);
  generator.fill_integers(draws, 0, std::numeric_limits<int64_t>::max());
  for (int64_t i = n - 1; i > 0; --i) {
    const auto j = draws.data<int64_t>()[i] % (i + 1);
    std::swap(values[i], values[j]);
  }
  return result;
}

Tensor bernoulli(const Tensor& p, Generator& generator) {
  Tensor result = Tensor::empty(p.shape(), p.dtype());
  dispatch_floating(p.dtype(), "bernoulli", [&](auto zero) {
    using T = decltype(zero);
    const Tensor chances = p.contiguous();
    const auto chance = chances.span<T>();
    for (const T value : chance) {
      if (!(value >= 0 && value <= 1)) throw ValueError(fmt::format("bernoulli: a probability of {}", value));
    }
    Tensor uniform = Tensor::empty(p.shape(), DType::f64);
    generator.fill_uniform(uniform, 0, 1);
    const auto draw = uniform.span<double>();
    const auto out = result.span<T>();
    for (size_t i = 0; i < out.size(); ++i) out[i] = draw[i] < static_cast<double>(chance[i]) ? T(1) : T(0);
  });
  return result;
}

}  // namespace qing
