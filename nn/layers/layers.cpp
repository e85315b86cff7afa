#include <qing/nn/layers/layers.h>

#include <fmt/format.h>

#include <qing/autograd/ops.h>

namespace qing::nn {
namespace {

Tensor normal(Shape shape, double stddev, Generator& rng) {
  Tensor tensor = Tensor::empty(std::move(shape));
  rng.fill_normal(tensor, 0, stddev);
  return tensor;
}

}  // namespace

Linear::Linear(int64_t in, int64_t out, Generator& rng, double stddev)
    : weight_(normal({out, in}, stddev, rng)), bias_(Tensor::zeros({out})) {}

void Linear::visit(Visitor& visitor) {
  visitor.parameter("weight", weight_);
  visitor.parameter("bias", bias_);
}

Tensor Linear::forward(const Tensor& x) const { return linear(x, weight_, bias_); }
Tensor Linear::forward_gelu(const Tensor& x) const { return linear_gelu(x, weight_, bias_); }

Embedding::Embedding(int64_t entries, int64_t width, Generator& rng, double stddev)
    : weight_(normal({entries, width}, stddev, rng)) {}

void Embedding::visit(Visitor& visitor) { visitor.parameter("weight", weight_); }

Tensor Embedding::forward(const Tensor& ids) const { return embedding(weight_, ids); }

LayerNorm::LayerNorm(int64_t width, double eps)
    : weight_(Tensor::full({width}, 1)), bias_(Tensor::zeros({width})), eps_(eps) {}

void LayerNorm::visit(Visitor& visitor) {
  visitor.parameter("weight", weight_);
  visitor.parameter("bias", bias_);
}

Tensor LayerNorm::forward(const Tensor& x) const { return layer_norm(x, weight_, bias_, eps_); }

Tensor LayerNorm::forward_residual(const Tensor& x, const Tensor& residual, double p, Generator* rng) const {
  return dropout_add_layer_norm(x, residual, weight_, bias_, eps_, p, rng);
}

Dropout::Dropout(double p) : p_(p) {
  if (!(p >= 0 && p < 1)) throw ValueError(fmt::format("Dropout: probability {} is outside [0, 1)", p));
}

Tensor Dropout::forward(const Tensor& x, Generator* rng) const {
  if (!training() || p_ == 0) return x;
  if (rng == nullptr) throw ValueError("Dropout: training mode needs a random generator");
  return dropout(x, p_, *rng);
}

}  // namespace qing::nn
