// Linear layers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include <qing/nn/module.h>

namespace qing::nn {

struct LinearOptions {
  bool bias = true;
  /// Initialise weights as normal(0, stddev) and the bias as zero, like BERT (Devlin et al. 2019), instead of PyTorch's
  /// initialisation.
  std::optional<double> stddev = std::nullopt;
};

/// y = x·Wᵀ + b for x [..., in]; weight [out, in], bias [out].
class Linear : public UnaryModule {
 public:
  /// ValueError unless in_features ≥ 0 and out_features ≥ 0.
  Linear(int64_t in_features, int64_t out_features, Generator& rng, LinearOptions options = {});
  void visit(Visitor& visitor) override;
  Tensor forward_gelu(const Tensor& x) const;  ///< gelu of forward, in one operation
  /// Stores a copy of an f32 weight in the layout of the product kernels, which helps products of few rows most.
  /// Results without gradients (NoGradGuard) use the copy until an operation writes to the weight or it is replaced.
  /// After writes through data(), call pack() again. In f32 results have the same bits, and the copy takes the memory
  /// of the weight. In bf16 and i8 the copy takes half and a quarter of that, and products are faster if the processor
  /// has instructions for them. Weights and inputs are then rounded: see tensor/ops/low_precision.h. The result of a
  /// row always depends only on that row. ValueError for another dtype. Do not call it while others use the layer.
  void pack(DType precision = DType::f32);
  const Tensor& weight() const { return weight_; }
  const Tensor& bias() const { return bias_; }  ///< undefined without a bias

 private:
  struct Packed;
  Tensor compute(const Tensor& x, Generator* rng) const override;
  friend Tensor forward_joined(const Tensor& x, std::span<const Linear* const> layers);
  bool packed_fits(const Tensor& x) const;
  Tensor packed_product(const Tensor& x, bool gelu) const;
  void write_packed_product(const Tensor& x, float* y, int64_t row_stride, float* gelu) const;
  Tensor weight_, bias_;
  std::shared_ptr<const Packed> packed_;
};

/// Returns the outputs of several layers side by side, [..., sum of their out], for one input x [..., in]. This is
/// faster than calling them one by one. ShapeError unless all have the same number of input features.
Tensor forward_joined(const Tensor& x, std::span<const Linear* const> layers);

/// Calls Linear::pack for the module, if it is a Linear, and for all modules below.
void pack_linear_layers(Module& module, DType precision = DType::f32);

/// y[o] = x1ᵀ·W[o]·x2 + b[o] for x1 [..., in1], x2 [..., in2] of the same leading shape; weight [out, in1, in2].
class Bilinear : public Module {
 public:
  Bilinear(int64_t in1_features, int64_t in2_features, int64_t out_features, Generator& rng, bool bias = true);
  void visit(Visitor& visitor) override;
  Tensor forward(const Tensor& x1, const Tensor& x2) const;  ///< ShapeError with both shapes.

 private:
  Tensor weight_, bias_;
};

}  // namespace qing::nn
