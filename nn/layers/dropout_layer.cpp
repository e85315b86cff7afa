#include <qing/nn/layers/dropout_layer.h>

#include <fmt/format.h>

#include <qing/autograd/ops/dropout.h>
#include <qing/nn/layers/check.h>

namespace qing::nn {

Dropout::Dropout(double p) : p_(p) {
  if (!(p >= 0 && p <= 1)) throw ValueError(fmt::format("Dropout: probability {} is outside [0, 1]", p));
}

Tensor Dropout::compute(const Tensor& x, Generator* rng) const {
  if (!training() || p_ == 0) return x;
  check_generator("Dropout", rng);
  return dropout(x, p_, *rng);
}

}  // namespace qing::nn
