// A residual network for inference: batch norms are folded into the convolutions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <qing/nn/models/residual_network.h>
#include <qing/tensor/ops/pixel_rows.h>
#include <qing/tensor/tensor.h>

namespace qing::nn {

/// With batch norm by running statistics, conv followed by norm is a convolution with the weight γ·w/sqrt(var + eps)
/// and the bias β − γ·mean/sqrt(var + eps). Bias, residual and ReLU are applied to the sums in registers. A thread
/// takes one image through all layers, so that its values stay in the second cache. Immutable after construction, so
/// any number of threads may use it. An image's logits depend on it alone, to the bit.
class FoldedResidualNetwork {
 public:
  /// A copy: later changes of `network` have no effect. ValueError if a folded weight is not finite.
  explicit FoldedResidualNetwork(ResidualNetwork& network);

  /// Logits [images, classes] of f32 images [images, channels, height, width]. ShapeError or DTypeError for others.
  /// Uses threads.
  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }
  size_t bytes() const { return bytes_; }  ///< of the weights

 private:
  struct Convolution {
    PackedFilters<float> filters;
    Tensor bias;
    int64_t stride;
  };
  struct Block {
    Convolution first, second;
    std::vector<Convolution> shortcut;  // none if the input is added as it is
  };
  class Walk;

  Convolution fold(const StateDict& state, const std::string& conv, const std::string& norm, int64_t stride);

  ResidualNetworkConfig config_;
  Convolution stem_;
  std::vector<Block> blocks_;
  Tensor fc_weight_, fc_bias_;
  size_t bytes_ = 0;
};

}  // namespace qing::nn
