#include <qing/nn/layers/norm.h>

#include <qing/autograd/ops/normalization.h>
#include <qing/nn/layers/check.h>

namespace qing::nn {

LayerNorm::LayerNorm(int64_t width, double eps) : eps_(eps) {
  check_at_least("LayerNorm", "width", width, 1);
  weight_ = Tensor::full({width}, 1);
  bias_ = Tensor::zeros({width});
}

void LayerNorm::visit(Visitor& visitor) {
  visitor.parameter("weight", weight_);
  visitor.parameter("bias", bias_);
}

Tensor LayerNorm::compute(const Tensor& x, Generator*) const { return layer_norm(x, weight_, bias_, eps_); }

Tensor LayerNorm::forward_residual(const Tensor& x, const Tensor& residual, double p, Generator* rng) const {
  return dropout_add_layer_norm(x, residual, weight_, bias_, eps_, p, rng);
}

}  // namespace qing::nn
