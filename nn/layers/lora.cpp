#include <qing/nn/layers/lora.h>

#include <qing/autograd/ops.h>
#include <qing/nn/init.h>
#include <qing/nn/layers/check.h>

namespace qing::nn {

Lora::Lora(int64_t in_features, int64_t out_features, int64_t rank, double alpha, Generator& rng)
    : scale_(alpha / static_cast<double>(rank)) {
  check_at_least("Lora", "rank", rank, 1);
  a_ = Tensor::empty({rank, in_features});
  b_ = Tensor::zeros({out_features, rank});
  Tensor no_bias;
  init::linear_default(a_, no_bias, rng);
}

void Lora::visit(Visitor& visitor) {
  visitor.parameter("A", a_);
  visitor.parameter("B", b_);
}

Tensor Lora::delta() const { return matmul(b_, a_) * scale_; }

Tensor Lora::compute(const Tensor& x, Generator*) const { return linear(linear(x, a_, {}), b_, {}) * scale_; }

}  // namespace qing::nn
