// Compositions of norm, which defines its derivative where a vector is 0.
#include <qing/autograd/ops/distances.h>

#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/ops/apply.h>

namespace qing {
namespace {

// Raises a length to at least eps. The difference is a constant, so the gradient passes, as in PyTorch.
Tensor lifted(const Tensor& length, double eps) {
  const Tensor plain = length.alias();
  return add(length, sub(clamp_min(plain, eps), plain));
}

}  // namespace

Tensor normalize(const Tensor& x, double p, int64_t dim, double eps) {
  check_floating(x, "normalize");
  const int64_t d = wrap_dim(dim, x.dim(), "normalize");
  return div(x, clamp_min(norm(x, p, {d}, true), eps));
}

Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, int64_t dim, double eps) {
  constexpr const char* op = "cosine_similarity";
  check_floating(x1, op);
  check_same_dtype(x1, x2, op);
  const Shape shape = broadcast_shapes(x1.shape(), x2.shape(), op);
  const int64_t d = wrap_dim(dim, static_cast<int64_t>(shape.size()), op);
  const auto unit = [&](const Tensor& x) {
    const Tensor whole = expand(x, shape);
    return div(whole, lifted(norm(whole, 2, {d}, true), eps));
  };
  return sum(mul(unit(x1), unit(x2)), {d});
}

Tensor pairwise_distance(const Tensor& x1, const Tensor& x2, double p, double eps, bool keepdim) {
  constexpr const char* op = "pairwise_distance";
  check_floating(x1, op);
  check_same_dtype(x1, x2, op);
  broadcast_shapes(x1.shape(), x2.shape(), op);
  return norm(add(sub(x1, x2), eps), p, {-1}, keepdim);
}

Tensor cdist(const Tensor& x1, const Tensor& x2, double p) {
  constexpr const char* op = "cdist";
  check_floating(x1, op);
  check_same_dtype(x1, x2, op);
  if (x1.dim() < 2 || x2.dim() < 2 || x1.size(-1) != x2.size(-1)) {
    throw ShapeError("cdist: x1 " + to_string(x1.shape()) + " and x2 " + to_string(x2.shape()) +
                     "; needs [..., m, width] and [..., n, width]");
  }
  return norm(sub(unsqueeze(x1, -2), unsqueeze(x2, -3)), p, {-1});
}

}  // namespace qing
