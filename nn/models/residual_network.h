// A small residual network for images (He et al. 2016, "Deep Residual Learning for Image Recognition").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <qing/nn/layers/container.h>
#include <qing/nn/layers/conv.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/layers/norm.h>
#include <qing/nn/module.h>

namespace qing::nn {

struct ResidualNetworkConfig {
  int64_t channels = 1;  ///< of the images
  int64_t classes = 10;
  std::vector<int64_t> widths = {32, 64, 128};  ///< channels of each stage; all but the first halve the image
  int64_t blocks = 1;                           ///< of each stage

  /// ValueError naming the field, unless channels is in [1, 4096], classes in [1, 2^20], blocks in [1, 1000] and there
  /// are 1 to 8 widths in [1, 65536].
  void validate() const;
};

/// Two 3×3 convolutions with batch norm, and the block's input added before the last ReLU. Where the block changes the
/// image's size or channels, the input passes a 1×1 convolution with a norm. Names are those of torchvision's
/// BasicBlock: conv1, bn1, conv2, bn2, downsample.0, downsample.1.
class ResidualBlock : public UnaryModule {
 public:
  ResidualBlock(int64_t in, int64_t out, int64_t stride, Generator& rng);
  void visit(Visitor& visitor) override;
  int64_t stride() const { return stride_; }

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;

  int64_t stride_;
  Conv2d conv1_, conv2_;
  BatchNorm2d bn1_, bn2_;
  Sequential downsample_;  // empty if the input is added as it is
};

/// Images [batch, channels, height, width] to logits [batch, classes]: a 3×3 convolution with batch norm and ReLU, the
/// stages of blocks, the mean over all positions, and a linear layer. Parameter names are those of torchvision's
/// ResNet: conv1, bn1, layer1.0.conv1, ..., fc. Convolutions are drawn as He et al. 2015 (fan-out), as torchvision
/// does. In evaluation mode it may be called from many threads, and an image's logits do not depend on the batch, to
/// the bit.
class ResidualNetwork : public UnaryModule {
 public:
  /// ValueError from ResidualNetworkConfig::validate.
  ResidualNetwork(const ResidualNetworkConfig& config, Generator& rng);
  void visit(Visitor& visitor) override;
  const ResidualNetworkConfig& config() const { return config_; }

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;

  ResidualNetworkConfig config_;
  Conv2d conv1_;
  BatchNorm2d bn1_;
  std::vector<ModuleList<ResidualBlock>> stages_;
  Linear fc_;
};

}  // namespace qing::nn
