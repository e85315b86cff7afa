// Quantiles are picked from the sorted elements, so their gradient is that of sort() and select().
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/joining.h>
#include <qing/autograd/ops/selection.h>
#include <qing/autograd/ops/sorting.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/compare.h>

namespace qing {
namespace {

// One quantile of elements that are sorted along the last dimension.
Tensor at_rank(const Tensor& sorted, double q, QuantileInterpolation interpolation) {
  const int64_t last = sorted.size(-1) - 1;
  const double rank = q * static_cast<double>(last), below = std::floor(rank);
  const auto element = [&](double at) { return select(sorted, -1, std::min(static_cast<int64_t>(at), last)); };
  switch (interpolation) {
    case QuantileInterpolation::lower: return element(below);
    case QuantileInterpolation::higher: return element(std::ceil(rank));
    case QuantileInterpolation::nearest: return element(std::nearbyint(rank));
    case QuantileInterpolation::midpoint:
      return rank == below ? element(below) : lerp(element(below), element(below + 1), 0.5);
    case QuantileInterpolation::linear: break;
  }
  return rank == below ? element(below) : lerp(element(below), element(below + 1), rank - below);
}

}  // namespace

Tensor quantile(const Tensor& x, const std::vector<double>& q, int64_t dim, bool keepdim,
                QuantileInterpolation interpolation) {
  check_floating(x, "quantile");
  for (const double one : q) {
    if (!(one >= 0 && one <= 1)) throw ValueError(fmt::format("quantile: q is {}; it has to be in [0, 1]", one));
  }
  if (q.empty()) throw ValueError("quantile: there is no q");
  const int64_t d = x.dim() == 0 ? 0 : wrap_dim(dim, x.dim(), "quantile");
  if (x.dim() > 0 && x.size(d) == 0) {
    throw ValueError(fmt::format("quantile: dimension {} of {} has no elements", dim, to_string(x.shape())));
  }
  const Tensor lanes = x.dim() > 0 ? transpose(x, d, -1) : unsqueeze(x, 0);
  const Tensor sorted = sort(lanes, -1).values;
  const Tensor largest = select(sorted, -1, sorted.size(-1) - 1);  // NaN sorts above everything
  const Tensor bad = isnan(largest.alias());
  std::vector<Tensor> found;
  for (const double one : q) {
    Tensor value = where(bad, largest, at_rank(sorted, one, interpolation));
    if (x.dim() > 0) {
      value = transpose(unsqueeze(value, -1), d, -1);
      if (!keepdim) value = squeeze(value, d);
    }
    found.push_back(value);
  }
  return stack(found, 0);
}

Tensor quantile(const Tensor& x, double q, int64_t dim, bool keepdim, QuantileInterpolation interpolation) {
  return squeeze(quantile(x, std::vector<double>{q}, dim, keepdim, interpolation), 0);
}

Tensor quantile(const Tensor& x, double q) { return quantile(reshape(x, {-1}), q, 0); }

}  // namespace qing
