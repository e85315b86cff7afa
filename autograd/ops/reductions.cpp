// Sums and means: the gradient is spread over what was summed.
#include <qing/autograd/ops/reductions.h>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/ops/reduce.h>

namespace qing {
namespace {

struct Reduction {
  Tensor value;
  Shape kept;     // x's shape with 1 where it was summed
  int64_t count;  // elements summed into one
};

Reduction reduce(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim, const char* op) {
  Shape kept = x.shape();
  for (const int64_t dim : dims) kept[wrap_dim(dim, x.dim(), op)] = 1;
  int64_t count = 1;
  Shape dropped;
  for (int64_t d = 0; d < x.dim(); ++d) {
    bool summed = false;
    for (const int64_t dim : dims) summed = summed || wrap_dim(dim, x.dim(), op) == d;
    if (summed) {
      count *= x.size(d);
    } else {
      dropped.push_back(x.size(d));
    }
  }
  const Tensor value = sum_to(x.alias(), kept);
  return {value.alias().reshape(keepdim ? kept : dropped), kept, count};
}

std::vector<int64_t> all_dims(const Tensor& x) {
  std::vector<int64_t> dims(x.dim());
  for (int64_t d = 0; d < x.dim(); ++d) dims[d] = d;
  return dims;
}

}  // namespace

Tensor sum_to_shape(const Tensor& x, const Shape& shape) {
  if (!recording({x})) return sum_to(x, shape);
  if (x.shape() == shape) return x;
  const Layout spread = Layout::contiguous(shape).expand(x.shape());  // checks
  std::vector<int64_t> dims;
  const int64_t added = x.dim() - static_cast<int64_t>(shape.size());
  for (int64_t d = 0; d < spread.dim(); ++d) {
    if (d < added || shape[d - added] != x.size(d)) dims.push_back(d);
  }
  return reshape(sum(x, dims, true), shape);
}

Tensor sum(const Tensor& x) { return sum(x, all_dims(x)); }

Tensor sum(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  Reduction reduction = reduce(x, dims, keepdim, "sum");
  Tensor y = reduction.value.shares_storage(x) ? reduction.value.clone() : reduction.value;
  if (recording({x})) {
    record("sum", y, {x}, [shape = x.shape(), kept = reduction.kept](const Tensor& dy, GradSink& grad) {
      grad.add(0, dy.reshape(kept).expand(shape));
    });
  }
  return y;
}

Tensor mean(const Tensor& x) { return mean(x, all_dims(x)); }

Tensor mean(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  const Reduction reduction = reduce(x, dims, keepdim, "mean");
  if (reduction.count == 0) throw ValueError("mean: no elements to average in shape " + to_string(x.shape()));
  const double share = 1.0 / static_cast<double>(reduction.count);
  Tensor y = scale(reduction.value, share);  // outside the graph: of a plain tensor
  if (recording({x})) {
    record("mean", y, {x}, [shape = x.shape(), kept = reduction.kept, share](const Tensor& dy, GradSink& grad) {
      grad.add(0, scale(dy, share).reshape(kept).expand(shape));
    });
  }
  return y;
}

}  // namespace qing
