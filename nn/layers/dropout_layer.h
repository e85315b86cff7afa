// Dropout.
#pragma once

#include <cstdint>

#include <qing/nn/module.h>

namespace qing::nn {

/// Zeroes elements in training mode. It is the identity in evaluation mode, and when the probability is 0.
class Dropout : public UnaryModule {
 public:
  explicit Dropout(double p = 0.5);  ///< ValueError unless 0 ≤ p ≤ 1.
  double p() const { return p_; }

 protected:
  Dropout(const char* name, double p);

 private:
  /// ValueError when dropout is active and rng is null.
  Tensor compute(const Tensor& x, Generator* rng) const override;
  virtual Tensor drop(const Tensor& x, Generator& rng) const;
  const char* name_;
  double p_;
};

/// Zeroes whole channels in training mode (Tompson et al. 2015). x has `spatial` dimensions behind its channels, and a
/// batch before them or not (ShapeError).
class FeatureDropout : public Dropout {
 protected:
  FeatureDropout(const char* name, double p, int64_t spatial) : Dropout(name, p), name_(name), spatial_(spatial) {}

 private:
  Tensor drop(const Tensor& x, Generator& rng) const override;
  const char* name_;
  int64_t spatial_;
};
/// x [batch, channels, length] or [channels, length].
class Dropout1d final : public FeatureDropout {
 public:
  explicit Dropout1d(double p = 0.5) : FeatureDropout("Dropout1d", p, 1) {}
};
/// x [batch, channels, height, width] or [channels, height, width].
class Dropout2d final : public FeatureDropout {
 public:
  explicit Dropout2d(double p = 0.5) : FeatureDropout("Dropout2d", p, 2) {}
};
/// x [batch, channels, depth, height, width] or [channels, depth, height, width].
class Dropout3d final : public FeatureDropout {
 public:
  explicit Dropout3d(double p = 0.5) : FeatureDropout("Dropout3d", p, 3) {}
};

}  // namespace qing::nn
