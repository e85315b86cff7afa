#include <qing/nn/layers/dropout_layer.h>

#include <fmt/format.h>

#include <algorithm>

#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/dropout.h>
#include <qing/nn/layers/check.h>
#include <qing/nn/training_mode.h>
#include <qing/tensor/errors.h>

namespace qing::nn {

Dropout::Dropout(double p) : Dropout("Dropout", p) {}

Dropout::Dropout(const char* name, double p) : name_(name), p_(p) {
  if (!(p >= 0 && p <= 1)) throw ValueError(fmt::format("{}: probability {} is outside [0, 1]", name, p));
}

Tensor Dropout::compute(const Tensor& x, Generator* rng) const {
  if (p_ == 0) return x;
  note_mode(*this, x);
  if (!training()) return x;
  check_generator(name_, rng);
  return drop(x, *rng);
}

Tensor Dropout::drop(const Tensor& x, Generator& rng) const { return dropout(x, p_, rng); }

Tensor FeatureDropout::drop(const Tensor& x, Generator& rng) const {
  if (x.dim() != spatial_ + 1 && x.dim() != spatial_ + 2) {
    throw ShapeError(fmt::format("{}: x {}; needs {} dimensions, or {} without a batch", name_, to_string(x.shape()),
                                 spatial_ + 2, spatial_ + 1));
  }
  Shape channels = x.shape();
  std::fill(channels.end() - spatial_, channels.end(), 1);
  // 0 or 1/(1−p) for each channel.
  return mul(x, dropout(Tensor::full(channels, 1, x.dtype()), p(), rng));
}

}  // namespace qing::nn
