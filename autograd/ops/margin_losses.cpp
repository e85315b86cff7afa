// Losses that are short compositions of other operations.
#include <fmt/format.h>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops/distances.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/losses_detail.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>

namespace qing {
namespace {

void check_alike(const Tensor& a, const Tensor& b, const char* op) {
  check_same_dtype(a, b, op);
  if (a.shape() == b.shape()) return;
  throw ShapeError(fmt::format("{}: {} and {} differ", op, to_string(a.shape()), to_string(b.shape())));
}

Tensor plus(const Tensor& x, double value) { return add(x, constant_like(x, value)); }

// 1 where f(element) holds, else 0; outside the graph.
template <class F> Tensor mask(const Tensor& x, const char* op, F f) {
  Tensor result = x.alias().clone();
  dispatch_floating(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    map(result.numel(), result.data<T>(), result.data<T>(), [f](T v) { return T(f(v)); });
  });
  return result;
}

}  // namespace

Tensor poisson_nll_loss(const Tensor& x, const Tensor& target, bool log_input, Reduction reduction) {
  constexpr const char* op = "poisson_nll_loss";
  check_alike(x, target, op);
  const Tensor losses = log_input ? sub(exp(x), mul(target, x)) : sub(x, mul(target, log(plus(x, 1e-8))));
  return reduced(losses, reduction, op);
}

Tensor gaussian_nll_loss(const Tensor& x, const Tensor& target, const Tensor& variance, Reduction reduction,
                         double eps) {
  constexpr const char* op = "gaussian_nll_loss";
  check_alike(x, target, op);
  check_same_dtype(x, variance, op);
  if (broadcast_shapes(x.shape(), variance.shape(), op) != x.shape()) {
    throw ShapeError(fmt::format("{}: variance {} does not broadcast to x {}", op, to_string(variance.shape()),
                                 to_string(x.shape())));
  }
  // Raises a variance to at least eps. The difference is a constant, so the gradient passes, as in PyTorch.
  Tensor lift = variance.alias().clone();
  dispatch_floating(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    for (T& value : lift.span<T>()) {
      if (value < 0) throw ValueError(fmt::format("{}: a variance is {}, below 0", op, value));
      value = value < T(eps) ? T(eps) - value : T(0);
    }
  });
  const Tensor v = add(variance, lift), d = sub(x, target);
  return reduced(scale(add(log(v), div(mul(d, d), v)), 0.5), reduction, op);
}

Tensor hinge_embedding_loss(const Tensor& x, const Tensor& target, double margin, Reduction reduction) {
  constexpr const char* op = "hinge_embedding_loss";
  check_floating(x, op);
  check_alike(x, target, op);
  const Tensor similar = mask(target, op, [](auto t) { return t != -1; });
  const Tensor different = mask(target, op, [](auto t) { return t != 1; });
  const Tensor hinge = relu(plus(neg(x), margin));
  return reduced(add(mul(different, hinge), mul(similar, x)), reduction, op);
}

Tensor margin_ranking_loss(const Tensor& a, const Tensor& b, const Tensor& target, double margin, Reduction reduction) {
  constexpr const char* op = "margin_ranking_loss";
  check_floating(a, op);
  check_alike(a, b, op);
  check_alike(a, target, op);
  return reduced(relu(plus(mul(target, sub(b, a)), margin)), reduction, op);
}

Tensor cosine_embedding_loss(const Tensor& a, const Tensor& b, const Tensor& target, double margin,
                             Reduction reduction) {
  constexpr const char* op = "cosine_embedding_loss";
  check_floating(a, op);
  check_alike(a, b, op);
  check_same_dtype(a, target, op);
  const bool fits = (a.dim() == 1 || a.dim() == 2) && target.shape() == Shape(a.shape().begin(), a.shape().end() - 1);
  if (!fits) {
    throw ShapeError(fmt::format("{}: {} and target {}; needs [rows, n] and [rows], or [n] and []", op,
                                 to_string(a.shape()), to_string(target.shape())));
  }
  const auto square = [](const Tensor& x) { return plus(sum(mul(x, x), {-1}), 1e-12); };
  const Tensor cosine = div(sum(mul(a, b), {-1}), sqrt(mul(square(a), square(b))));
  const Tensor similar = mul(mask(target, op, [](auto t) { return t == 1; }), plus(neg(cosine), 1));
  const Tensor different = mul(mask(target, op, [](auto t) { return t == -1; }), relu(plus(cosine, -margin)));
  return reduced(add(similar, different), reduction, op);
}

Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin,
                           Reduction reduction) {
  constexpr const char* op = "triplet_margin_loss";
  check_floating(anchor, op);
  check_alike(anchor, positive, op);
  check_alike(anchor, negative, op);
  if (anchor.dim() < 1) throw ShapeError(fmt::format("{}: needs [..., n], got shape []", op));
  const Tensor near = pairwise_distance(anchor, positive), far = pairwise_distance(anchor, negative);
  return reduced(relu(plus(sub(near, far), margin)), reduction, op);
}

}  // namespace qing
