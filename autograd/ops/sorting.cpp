#include <qing/autograd/ops/sorting.h>

#include <fmt/format.h>

#include <cmath>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/gather_detail.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/lanes.h>

namespace qing {
namespace {

// Records values that were picked along `dims`. A tensor without dimensions is its own only choice.
ValuesAndIndices recorded(OpName op, const Tensor& x, const std::vector<int64_t>& dims, ValuesAndIndices found) {
  if (!is_floating(x.dtype())) return found;
  if (dims.empty()) {
    found.values = clone(x);
  } else {
    record_picked(op, found.values, x, dims[0], found.indices);
  }
  return found;
}

ValuesAndIndices reduced(OpName op, const Tensor& x, const std::vector<int64_t>& dims, bool keepdim,
                         const ValuesAndIndices& found) {
  ValuesAndIndices kept = recorded(op, x, dims, found);
  if (keepdim) return kept;
  const Shape shape = dropped_shape(x.shape(), dims);
  return {reshape(kept.values, shape), kept.indices.reshape(shape)};
}

int64_t size_along(const Tensor& x, const std::vector<int64_t>& dims) { return dims.empty() ? 1 : x.size(dims[0]); }

}  // namespace

ValuesAndIndices sort(const Tensor& x, int64_t dim, bool descending) {
  const auto dims = resolve_dim(dim, x.dim(), "sort");
  return recorded("sort", x, dims, sorted_along(x.alias(), dims, descending));
}

Tensor argsort(const Tensor& x, int64_t dim, bool descending) {
  return sorted_along(x.alias(), resolve_dim(dim, x.dim(), "argsort"), descending).indices;
}

ValuesAndIndices topk(const Tensor& x, int64_t k, int64_t dim, bool largest) {
  const auto dims = resolve_dim(dim, x.dim(), "topk");
  if (k < 0 || k > size_along(x, dims) || (dims.empty() && k == 0)) {
    throw ValueError(fmt::format("topk: k is {}, the size of dimension {} of {} is {}", k, dim, to_string(x.shape()),
                                 size_along(x, dims)));
  }
  return recorded("topk", x, dims, top_along(x.alias(), dims, k, largest));
}

ValuesAndIndices kthvalue(const Tensor& x, int64_t k, int64_t dim, bool keepdim) {
  const auto dims = resolve_dim(dim, x.dim(), "kthvalue");
  if (k < 1 || k > size_along(x, dims)) {
    throw ValueError(fmt::format("kthvalue: k is {}, and has to be in [1, {}], the size of dimension {} of {}", k,
                                 size_along(x, dims), dim, to_string(x.shape())));
  }
  return reduced("kthvalue", x, dims, keepdim, ranked_along(x.alias(), dims, k - 1));
}

ValuesAndIndices median(const Tensor& x, int64_t dim, bool keepdim) {
  const auto dims = resolve_dim(dim, x.dim(), "median");
  return reduced("median", x, dims, keepdim, median_along(x.alias(), dims, "median"));
}

Tensor median(const Tensor& x) {
  const Tensor values = median_along(x.alias().reshape({-1}), {0}, "median").values;
  Tensor y = values.reshape({});
  if (is_floating(x.dtype()) && recording({x})) {
    record("median", y, {x}, [x = Saved(x), y = Saved(y)](const Tensor& dy, GradSink& grad) {
      const auto same = [](auto v, auto m) { return decltype(v)(v == m || (std::isnan(v) && std::isnan(m)) ? 1 : 0); };
      const Tensor equal = map("median", same, x.get(grad).alias(), y.get(grad));
      grad.add(0, mul(dy, div(equal, sum(equal))));
    });
  }
  return y;
}

ValuesAndIndices max(const Tensor& x, int64_t dim, bool keepdim) {
  const auto dims = resolve_dim(dim, x.dim(), "max");
  return reduced("max", x, dims, keepdim, extreme_along(x.alias(), dims, true, "max"));
}

ValuesAndIndices min(const Tensor& x, int64_t dim, bool keepdim) {
  const auto dims = resolve_dim(dim, x.dim(), "min");
  return reduced("min", x, dims, keepdim, extreme_along(x.alias(), dims, false, "min"));
}

ValuesAndIndices cummax(const Tensor& x, int64_t dim) {
  const auto dims = resolve_dim(dim, x.dim(), "cummax");
  return recorded("cummax", x, dims, running_extreme(x.alias(), dims, true));
}

ValuesAndIndices cummin(const Tensor& x, int64_t dim) {
  const auto dims = resolve_dim(dim, x.dim(), "cummin");
  return recorded("cummin", x, dims, running_extreme(x.alias(), dims, false));
}

}  // namespace qing
