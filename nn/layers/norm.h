// Normalisation layers.
#pragma once

#include <cstdint>

#include <qing/nn/module.h>

namespace qing::nn {

/// Over the last dimension, `width` long; weight and bias [width].
class LayerNorm : public UnaryModule {
 public:
  explicit LayerNorm(int64_t width, double eps = 1e-5);
  void visit(Visitor& visitor) override;
  /// forward(residual + dropout(x, p)) in one pass; no dropout when rng is null.
  Tensor forward_residual(const Tensor& x, const Tensor& residual, double p, Generator* rng) const;

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;
  Tensor weight_, bias_;
  double eps_;
};

}  // namespace qing::nn
