// Sums, means and operations based on them. Their gradients expand to the reduced elements.
#include <qing/autograd/ops/reductions.h>

#include <algorithm>
#include <cmath>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/joining.h>
#include <qing/autograd/ops/masks.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/defined.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/ops/lanes.h>
#include <qing/tensor/ops/reduce.h>

namespace qing {
namespace {

// The value, with reduced dimensions of size 1, in the shape that was requested.
Tensor finished(const Tensor& kept, const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  return kept.reshape(reduced_shape(x.shape(), dims, keepdim));
}

// sum() over resolved dimensions, where an empty list means none.
Tensor sum_kept(const Tensor& x, const std::vector<int64_t>& dims) { return dims.empty() ? x : sum(x, dims, true); }

// x minus its mean, in differentiable operations. The second pass removes the rounding error of the mean.
Tensor deviations(const Tensor& x, const std::vector<int64_t>& dims) {
  if (dims.empty()) return sub(x, x);
  const Tensor rough = sub(x, mean(x, dims, true));
  return sub(rough, mean(rough, dims, true));
}

double degrees_of_freedom(const Tensor& x, const std::vector<int64_t>& dims, double correction) {
  return std::max(0.0, static_cast<double>(count_over(x, dims)) - correction);
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

Tensor sum(const Tensor& x) { return sum(x, {}); }

Tensor sum(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  check_defined(x, "sum");
  const auto over = resolve_dims(dims, x.dim(), "sum");
  Tensor y = finished(sum_over(x.alias(), over), x, over, keepdim);
  if (recording({x})) {
    record("sum", y, {x}, [shape = x.shape(), kept = kept_shape(x.shape(), over)](const Tensor& dy, GradSink& grad) {
      grad.add(0, dy.reshape(kept).expand(shape));
    });
  }
  return y;
}

Tensor mean(const Tensor& x) { return mean(x, {}); }

Tensor mean(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  check_defined(x, "mean");
  check_floating(x, "mean");
  const auto over = resolve_dims(dims, x.dim(), "mean");
  Tensor y = finished(mean_over(x.alias(), over, "mean"), x, over, keepdim);
  if (recording({x})) {
    const auto count = static_cast<double>(count_over(x, over));
    record("mean", y, {x},
           [shape = x.shape(), kept = kept_shape(x.shape(), over), count](const Tensor& dy, GradSink& grad) {
             grad.add(0, div(dy, count).reshape(kept).expand(shape));
           });
  }
  return y;
}

Tensor var(const Tensor& x, const std::vector<int64_t>& dims, double correction, bool keepdim) {
  check_defined(x, "var");
  const auto over = resolve_dims(dims, x.dim(), "var");
  const double degrees = degrees_of_freedom(x, over, correction);
  Tensor y = finished(variance_over(x.alias(), over, degrees, false, "var"), x, over, keepdim);
  if (recording({x})) {
    record("var", y, {x}, [over, degrees, x = Saved(x)](const Tensor& dy, GradSink& grad) {
      const Tensor from = grad.input(0, x);
      // d(var)/dx = 2·(x − mean)/(n − correction)
      const Tensor share = div(mul(dy, 2), degrees).reshape(kept_shape(from.shape(), over));
      grad.add(0, mul(share, deviations(from, over)));
    });
  }
  return y;
}

Tensor std(const Tensor& x, const std::vector<int64_t>& dims, double correction, bool keepdim) {
  check_defined(x, "std");
  const auto over = resolve_dims(dims, x.dim(), "std");
  const double degrees = degrees_of_freedom(x, over, correction);
  Tensor y = finished(variance_over(x.alias(), over, degrees, true, "std"), x, over, keepdim);
  if (recording({x})) {
    record("std", y, {x}, [over, degrees, x = Saved(x), y = Saved(y)](const Tensor& dy, GradSink& grad) {
      const Tensor from = grad.input(0, x);
      // Equal elements have no derivative: it is set to 0, as for the norm.
      const Shape kept = kept_shape(from.shape(), over);
      const Tensor result = grad.output(y).reshape(kept), flat = zero_mask(result);
      const Tensor up = mul(div(dy, degrees).reshape(kept), sub(1, flat));
      grad.add(0, mul(up, div(deviations(from, over), add(result, flat))));
    });
  }
  return y;
}

Tensor prod(const Tensor& x) { return prod(x.reshape({-1}), 0); }

// A tree of products. A leaf's gradient is a product that never contains the leaf itself, so it is exact where elements
// are 0, at any order.
Tensor prod(const Tensor& x, int64_t dim, bool keepdim) {
  const auto over = resolve_dim(dim, x.dim(), "prod");
  if (!is_floating(x.dtype())) return finished(product_over(x, over, "prod"), x, over, keepdim);
  if (over.empty()) return clone(x);
  const int64_t d = over[0];
  Tensor left = x;
  if (left.size(d) == 0) left = Tensor::full(kept_shape(x.shape(), over), 1, x.dtype());
  while (left.size(d) > 1) {
    const int64_t half = left.size(d) / 2;
    const Tensor product = mul(slice(left, d, 0, half), slice(left, d, half, 2 * half));
    left = left.size(d) % 2 == 0 ? product : cat({product, slice(left, d, 2 * half, 2 * half + 1)}, d);
  }
  return reshape(left.same_as(x) ? clone(x) : left, reduced_shape(x.shape(), over, keepdim));
}

namespace {

Tensor extreme(OpName op, const Tensor& x, const std::vector<int64_t>& dims, bool keepdim, bool largest) {
  check_defined(x, op.c_str());
  const auto over = resolve_dims(dims, x.dim(), op.c_str());
  const Tensor kept = extreme_over(x.alias(), over, largest, op.c_str());
  Tensor y = finished(kept, x, over, keepdim);
  if (is_floating(x.dtype()) && recording({x})) {
    record(op, y, {x}, [over, x = Saved(x), kept = Saved(kept)](const Tensor& dy, GradSink& grad) {
      const Tensor& value = kept.get(grad);
      const Tensor chosen = equal_mask(x.get(grad), value);
      grad.add(0, mul(dy.reshape(value.shape()), div(chosen, sum_kept(chosen, over))));
    });
  }
  return y;
}

}  // namespace

Tensor amax(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  return extreme("amax", x, dims, keepdim, true);
}
Tensor amin(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  return extreme("amin", x, dims, keepdim, false);
}
Tensor max(const Tensor& x) { return amax(x); }
Tensor min(const Tensor& x) { return amin(x); }

Tensor logsumexp(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim) {
  check_defined(x, "logsumexp");
  const auto over = resolve_dims(dims, x.dim(), "logsumexp");
  Tensor y = finished(logsumexp_over(x.alias(), over, "logsumexp"), x, over, keepdim);
  if (recording({x})) {
    record("logsumexp", y, {x}, [over, x = Saved(x), y = Saved(y)](const Tensor& dy, GradSink& grad) {
      const Tensor from = grad.input(0, x);
      const Shape kept = kept_shape(from.shape(), over);
      grad.add(0, mul(dy.reshape(kept), exp(sub(from, grad.output(y).reshape(kept)))));
    });
  }
  return y;
}

Tensor norm(const Tensor& x, double p, const std::vector<int64_t>& dims, bool keepdim) {
  check_defined(x, "norm");
  const auto over = resolve_dims(dims, x.dim(), "norm");
  Tensor y = finished(norm_over(x.alias(), p, over, "norm"), x, over, keepdim);
  if (recording({x})) {
    record("norm", y, {x}, [p, over, x = Saved(x), y = Saved(y)](const Tensor& dy, GradSink& grad) {
      const Tensor from = grad.input(0, x), sign = sign_mask(x.get(grad));
      const Shape kept = kept_shape(from.shape(), over);
      const Tensor up = dy.reshape(kept), result = grad.output(y).reshape(kept);
      if (p == 0) return grad.add(0, mul(up, Tensor::zeros(from.shape(), from.dtype())));
      if (p == 1) return grad.add(0, mul(up, sign));
      // The quotients are at most 1, whereas 1 / norm may overflow the dtype.
      const Tensor whole = add(result, zero_mask(result));
      if (p == 2) return grad.add(0, mul(up, div(from, whole)));
      if (std::isinf(p)) {
        const Tensor chosen = equal_mask(mul(x.get(grad), sign), y.get(grad).reshape(kept));
        return grad.add(0, mul(up, mul(sign, div(chosen, sum_kept(chosen, over)))));
      }
      // sign(x)·(|x|/‖x‖)^(p−1), computed by exp(log) where x is not 0.
      const Tensor nonzero = mul(sign, sign), hole = sub(Tensor::full({}, 1, from.dtype()), nonzero);
      const Tensor ratio = add(div(mul(from, sign), whole), hole);
      // For negative p the norm is 0 where an element is 0, and has no derivative there: it is set to 0, as in PyTorch.
      const Tensor flat = eq(result.alias(), 0);
      grad.add(0, where(flat, 0, mul(up, mul(sign, exp(scale(log(ratio), p - 1))))));
    });
  }
  return y;
}

}  // namespace qing
