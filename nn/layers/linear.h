// Layers that are one linear map.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <qing/nn/module.h>

namespace qing::nn {

struct LinearOptions {
  bool bias = true;
  /// Weights normal(0, stddev) and bias zero, as BERT's (Devlin et al. 2019), instead of PyTorch's initialisation.
  std::optional<double> stddev = std::nullopt;
};

/// y = x·Wᵀ + b for x [..., in]; weight [out, in], bias [out].
class Linear : public UnaryModule {
 public:
  /// ValueError unless in_features ≥ 0 and out_features ≥ 0.
  Linear(int64_t in_features, int64_t out_features, Generator& rng, LinearOptions options = {});
  void visit(Visitor& visitor) override;
  Tensor forward_gelu(const Tensor& x) const;  ///< gelu of it, in one operation
  /// Keeps a copy of an f32 weight as the kernels of products read it, which few rows need most. Results without
  /// gradients (NoGradGuard) come from it, to the same bits, until the weight is written by any operation or replaced;
  /// after writes through data(), call it again. Takes the weight's memory once more. Not while others use the layer.
  void pack();
  const Tensor& weight() const { return weight_; }
  const Tensor& bias() const { return bias_; }  ///< undefined without

 private:
  struct Packed;
  Tensor compute(const Tensor& x, Generator* rng) const override;
  bool packed_fits(const Tensor& x) const;
  Tensor packed_product(const Tensor& x, bool gelu) const;
  Tensor weight_, bias_;
  std::shared_ptr<const Packed> packed_;
};

/// Linear::pack for the module, if it is one, and for all below.
void pack_linear_layers(Module& module);

/// y[o] = x1ᵀ·W[o]·x2 + b[o] for x1 [..., in1], x2 [..., in2] of the same leading shape; weight [out, in1, in2].
class Bilinear : public Module {
 public:
  Bilinear(int64_t in1_features, int64_t in2_features, int64_t out_features, Generator& rng, bool bias = true);
  void visit(Visitor& visitor) override;
  Tensor forward(const Tensor& x1, const Tensor& x2) const;  ///< ShapeError naming both.

 private:
  Tensor weight_, bias_;
};

}  // namespace qing::nn
