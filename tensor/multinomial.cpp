#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <qing/tensor/creation.h>
#include <qing/tensor/errors.h>

namespace qing {
namespace {

// The sums of the first weights of a row.
std::vector<double> running_sums(std::span<const double> weights, int64_t row) {
  std::vector<double> sums;
  double sum = 0;
  for (const double weight : weights) {
    if (!(weight >= 0) || !std::isfinite(weight)) {
      throw ValueError(
          fmt::format("multinomial: row {} has a weight of {}; weights are finite and not negative", row, weight));
    }
    sums.push_back(sum += weight);
  }
  if (!(sum > 0) || !std::isfinite(sum)) {
    throw ValueError(
        fmt::format("multinomial: the weights of row {} have the sum {}; it has to be positive", row, sum));
  }
  return sums;
}

void draw_with_replacement(std::span<const double> weights, int64_t row, std::span<const double> uniform,
                           std::span<int64_t> out) {
  const std::vector<double> sums = running_sums(weights, row);
  for (size_t i = 0; i < out.size(); ++i) {
    // The first sum above the drawn one belongs to a weight above 0. Rounding could give the whole sum.
    const double at = std::min(uniform[i] * sums.back(), std::nextafter(sums.back(), 0.0));
    out[i] = std::upper_bound(sums.begin(), sums.end(), at) - sums.begin();
  }
}

// The order of the times at which clocks of these rates ring is that of drawing without replacement (Efraimidis &
// Spirakis 2006).
void draw_without_replacement(std::span<const double> weights, int64_t row, std::span<const double> uniform,
                              std::span<int64_t> out) {
  running_sums(weights, row);
  std::vector<std::pair<double, int64_t>> times;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] > 0) times.emplace_back(-std::log1p(-uniform[i]) / weights[i], static_cast<int64_t>(i));
  }
  if (times.size() < out.size()) {
    throw ValueError(fmt::format("multinomial: {} samples without replacement, but row {} has {} weights above 0",
                                 out.size(), row, times.size()));
  }
  std::partial_sort(times.begin(), times.begin() + std::ssize(out), times.end());
  for (size_t i = 0; i < out.size(); ++i) out[i] = times[i].second;
}

}  // namespace

Tensor multinomial(const Tensor& weights, int64_t samples, bool replacement, Generator& generator) {
  if (weights.dtype() != DType::f32 && weights.dtype() != DType::f64) {
    throw DTypeError(fmt::format("multinomial: weights of {}; f32 or f64 are needed", name_of(weights.dtype())));
  }
  if (weights.dim() != 1 && weights.dim() != 2) {
    throw ShapeError(fmt::format("multinomial: weights {}; needs [n] or [rows, n]", to_string(weights.shape())));
  }
  if (samples < 1) throw ValueError(fmt::format("multinomial: {} samples; at least 1 is needed", samples));
  const Tensor wide = weights.to(DType::f64).contiguous();
  const int64_t rows = weights.dim() == 2 ? weights.size(0) : 1, n = weights.size(-1),
                drawn = replacement ? samples : n;
  Tensor uniform = Tensor::empty({rows, drawn}, DType::f64);
  generator.fill_uniform(uniform, 0, 1);
  Tensor out = Tensor::empty({rows, samples}, DType::i64);
  const auto part = [](auto values, int64_t row, int64_t width) {
    return values.subspan(static_cast<size_t>(row * width), static_cast<size_t>(width));
  };
  for (int64_t row = 0; row < rows; ++row) {
    const auto draw = replacement ? draw_with_replacement : draw_without_replacement;
    draw(part(wide.span<double>(), row, n), row, part(uniform.span<double>(), row, drawn),
         part(out.span<int64_t>(), row, samples));
  }
  return weights.dim() == 2 ? out : out.reshape({samples});
}

}  // namespace qing
