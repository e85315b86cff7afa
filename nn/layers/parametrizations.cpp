#include <qing/nn/layers/parametrizations.h>

#include <fmt/format.h>

#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/check.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

// The norm over all dimensions but one, with sizes of 1.
Tensor lengths_along(const Tensor& v, int64_t dim) {
  std::vector<int64_t> others;
  for (int64_t d = 0; d < v.dim(); ++d) {
    if (d != dim) others.push_back(d);
  }
  // Without other dimensions each element is a vector of its own.
  return others.empty() ? abs(v) : norm(v, 2, others, true);
}

}  // namespace

Tensor weight_norm(const Tensor& v, const Tensor& g, int64_t dim) {
  const int64_t d = wrap_dim(dim, v.dim(), "weight_norm");
  Shape needed(static_cast<size_t>(v.dim()), 1);
  needed[static_cast<size_t>(d)] = v.size(d);
  if (g.shape() != needed) {
    throw ShapeError(fmt::format("weight_norm: v {} with dim {} needs g {}, got {}", to_string(v.shape()), dim,
                                 to_string(needed), to_string(g.shape())));
  }
  return mul(v, div(g, lengths_along(v, d)));
}

WeightNorm::WeightNorm(const Tensor& weight, int64_t dim)
    : dim_(wrap_dim(dim, weight.dim(), "WeightNorm")),
      g_(lengths_along(detach(weight), dim_).clone()),
      v_(detach(weight).clone()) {}

void WeightNorm::visit(Visitor& visitor) {
  visitor.parameter("original0", g_);
  visitor.parameter("original1", v_);
}

SpectralNorm::SpectralNorm(const Tensor& weight, Generator& rng, SpectralNormOptions options)
    : options_(options), weight_(detach(weight).clone()) {
  if (weight.dim() < 2) {
    throw ShapeError(fmt::format("SpectralNorm: a weight of shape {}; needs 2 dimensions", to_string(weight.shape())));
  }
  check_at_least("SpectralNorm", "n_power_iterations", options.n_power_iterations, 1);
  options_.dim = wrap_dim(options.dim, weight.dim(), "SpectralNorm");
  const NoGradGuard no_grad;
  const Tensor matrix = as_matrix();
  const auto unit = [&](int64_t size) {
    Tensor drawn = Tensor::empty({size}, weight_.dtype());
    rng.fill_normal(drawn, 0, 1);
    return normalize(drawn, 2, 0, options_.eps).contiguous();
  };
  u_ = unit(matrix.size(0));
  v_ = unit(matrix.size(1));
  iterate(matrix, 15);
}

void SpectralNorm::visit(Visitor& visitor) {
  visitor.parameter("original", weight_);
  visitor.buffer("_u", u_, true);
  visitor.buffer("_v", v_, true);
}

Tensor SpectralNorm::as_matrix() const {
  const Tensor first = options_.dim == 0 ? weight_ : movedim(weight_, options_.dim, 0);
  return reshape(first, {first.size(0), -1});
}

void SpectralNorm::iterate(const Tensor& matrix, int64_t times) const {
  const NoGradGuard no_grad;
  Tensor u = u_, v = v_;
  for (int64_t i = 0; i < times; ++i) {
    u.copy_from(normalize(mv(matrix, v), 2, 0, options_.eps));
    v.copy_from(normalize(mv(transpose(matrix, 0, 1), u), 2, 0, options_.eps));
  }
}

Tensor SpectralNorm::forward() const {
  const Tensor matrix = as_matrix();
  if (training()) iterate(detach(matrix), options_.n_power_iterations);
  // Copies, since the next call writes the vectors.
  const Tensor u = u_.clone(), v = v_.clone();
  return div(weight_, dot(u, mv(matrix, v)));
}

}  // namespace qing::nn
