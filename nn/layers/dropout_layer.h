// Dropout.
#pragma once

#include <qing/nn/module.h>

namespace qing::nn {

/// Zeroes elements in training mode. It is the identity in evaluation mode, and when the probability is 0.
class Dropout : public UnaryModule {
 public:
  explicit Dropout(double p = 0.5);  ///< ValueError unless 0 ≤ p ≤ 1.
  double p() const { return p_; }

 private:
  /// ValueError when dropout is active and rng is null.
  Tensor compute(const Tensor& x, Generator* rng) const override;
  double p_;
};

}  // namespace qing::nn
