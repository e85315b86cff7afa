// Layers with parameters. Shapes: x is [..., features]; forward is const and may be called from many threads.
#pragma once

#include <cstdint>

#include <qing/nn/module.h>
#include <qing/tensor/random.h>

namespace qing::nn {

/// y = x·Wᵀ + b; weight [out, in], bias [out].
class Linear : public Module {
 public:
  /// Weights normal(0, stddev), bias zero: BERT's initialisation (Devlin et al. 2019).
  Linear(int64_t in, int64_t out, Generator& rng, double stddev = 0.02);
  void visit(Visitor& visitor) override;
  Tensor forward(const Tensor& x) const;
  Tensor forward_gelu(const Tensor& x) const;  ///< gelu of it, in one operation

 private:
  Tensor weight_, bias_;
};

/// Rows of a table [entries, width] by id.
class Embedding : public Module {
 public:
  Embedding(int64_t entries, int64_t width, Generator& rng, double stddev = 0.02);
  void visit(Visitor& visitor) override;
  Tensor forward(const Tensor& ids) const;  ///< ids.shape + [width]; IndexError
  const Tensor& weight() const { return weight_; }

 private:
  Tensor weight_;
};

class LayerNorm : public Module {
 public:
  explicit LayerNorm(int64_t width, double eps = 1e-12);
  void visit(Visitor& visitor) override;
  Tensor forward(const Tensor& x) const;
  /// forward(residual + dropout(x, p)) in one pass; no dropout when rng is null.
  Tensor forward_residual(const Tensor& x, const Tensor& residual, double p, Generator* rng) const;

 private:
  Tensor weight_, bias_;
  double eps_;
};

/// Zeroes elements in training mode; the identity otherwise, and when the probability is 0.
class Dropout : public Module {
 public:
  explicit Dropout(double p);  ///< ValueError unless 0 ≤ p < 1.
  void visit(Visitor&) override {}
  /// ValueError when it has to drop and rng is null.
  Tensor forward(const Tensor& x, Generator* rng) const;
  double p() const { return p_; }

 private:
  double p_;
};

}  // namespace qing::nn
