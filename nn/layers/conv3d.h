// Convolutions and pooling of volumes as modules. Shapes, options and errors of forward are those of the operations in
// <qing/autograd/ops/convolution3d.h>. forward is const: it may be called from many threads.
#pragma once

#include <cstdint>

#include <qing/autograd/ops/convolution3d.h>
#include <qing/nn/module.h>

namespace qing::nn {

/// weight [out, in/groups, kd, kh, kw], bias [out]; both uniform in ±1/sqrt(in/groups·kd·kh·kw). ValueError unless
/// groups divides both counts of channels.
class Conv3d : public UnaryModule {
 public:
  Conv3d(int64_t in_channels, int64_t out_channels, Size3d kernel_size, Generator& rng, Conv3dOptions options = {},
         bool bias = true);
  void visit(Visitor& visitor) override;

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;
  Conv3dOptions options_;
  Tensor weight_, bias_;
};

/// weight [in, out/groups, kd, kh, kw].
class ConvTranspose3d : public UnaryModule {
 public:
  ConvTranspose3d(int64_t in_channels, int64_t out_channels, Size3d kernel_size, Generator& rng,
                  ConvTranspose3dOptions options = {}, bool bias = true);
  void visit(Visitor& visitor) override;

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;
  ConvTranspose3dOptions options_;
  Tensor weight_, bias_;
};

class MaxPool3d : public UnaryModule {
 public:
  explicit MaxPool3d(Size3d kernel_size, MaxPool3dOptions options = {}) : kernel_(kernel_size), options_(options) {}

 private:
  Tensor compute(const Tensor& x, Generator*) const override { return max_pool3d(x, kernel_, options_); }
  Size3d kernel_;
  MaxPool3dOptions options_;
};

class AvgPool3d : public UnaryModule {
 public:
  explicit AvgPool3d(Size3d kernel_size, AvgPool3dOptions options = {}) : kernel_(kernel_size), options_(options) {}

 private:
  Tensor compute(const Tensor& x, Generator*) const override { return avg_pool3d(x, kernel_, options_); }
  Size3d kernel_;
  AvgPool3dOptions options_;
};

class AdaptiveAvgPool3d : public UnaryModule {
 public:
  explicit AdaptiveAvgPool3d(Size3d output_size) : size_(output_size) {}

 private:
  Tensor compute(const Tensor& x, Generator*) const override { return adaptive_avg_pool3d(x, size_); }
  Size3d size_;
};

}  // namespace qing::nn
