// Weights computed from other tensors, under the names of torch.nn.utils.parametrizations. A parametrization is a
// module that gives the weight for a layer's operation: linear(x, norm(), bias).
#pragma once

#include <cstdint>

#include <qing/nn/module.h>

namespace qing::nn {

/// g·v/‖v‖ with the norm over all dimensions but `dim` (Salimans & Kingma 2016). g has sizes of 1 except along `dim`.
/// f32 or f64. ShapeError unless g fits, IndexError for a dim out of range.
Tensor weight_norm(const Tensor& v, const Tensor& g, int64_t dim = 0);

/// Length and direction of a weight as two parameters: original0 is g, original1 is v. forward is const: it may be
/// called from many threads.
class WeightNorm : public Module {
 public:
  /// Begins with this weight, which is copied. Errors of weight_norm().
  explicit WeightNorm(const Tensor& weight, int64_t dim = 0);
  void visit(Visitor& visitor) override;
  Tensor forward() const { return weight_norm(v_, g_, dim_); }
  Tensor operator()() const { return forward(); }

 private:
  int64_t dim_;
  Tensor g_, v_;
};

struct SpectralNormOptions {
  int64_t n_power_iterations = 1;
  int64_t dim = 0;  ///< the rows of the matrix that a weight of more dimensions is read as
  double eps = 1e-12;
};

/// A weight divided by an estimate of its largest singular value (Miyato et al. 2018). The parameter is `original`; the
/// vectors _u and _v of the power iteration are buffers. In training mode each call iterates and writes them, so that
/// calls of one module must not be concurrent; in evaluation mode it may be called from many threads.
class SpectralNorm : public Module {
 public:
  /// Begins with this weight, which is copied, and iterates 15 times from random vectors. ShapeError for a weight of
  /// less than 2 dimensions, ValueError for options out of range, IndexError for a dim out of range.
  SpectralNorm(const Tensor& weight, Generator& rng, SpectralNormOptions options = {});
  void visit(Visitor& visitor) override;
  Tensor forward() const;
  Tensor operator()() const { return forward(); }

 private:
  Tensor as_matrix() const;
  void iterate(const Tensor& matrix, int64_t times) const;

  SpectralNormOptions options_;
  Tensor weight_, u_, v_;
};

}  // namespace qing::nn
