// Convolutions and pooling as modules, for use in a Sequential. Shapes, options and errors are those of the operations
// of <qing/autograd/ops/convolution.h> and <qing/autograd/ops/pooling.h>.
#pragma once

#include <cstdint>

#include <qing/autograd/ops/convolution.h>
#include <qing/autograd/ops/pooling.h>
#include <qing/nn/module.h>

namespace qing::nn {

/// weight [out, in/groups, k], bias [out]; both uniform in ±1/sqrt(in/groups·k). ValueError unless groups divides both
/// counts of channels.
class Conv1d : public UnaryModule {
 public:
  Conv1d(int64_t in_channels, int64_t out_channels, int64_t kernel_size, Generator& rng, Conv1dOptions options = {},
         bool bias = true);
  void visit(Visitor& visitor) override;

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;
  Conv1dOptions options_;
  Tensor weight_, bias_;
};

/// The same with weight [out, in/groups, kh, kw].
class Conv2d : public UnaryModule {
 public:
  Conv2d(int64_t in_channels, int64_t out_channels, Size2d kernel_size, Generator& rng, Conv2dOptions options = {},
         bool bias = true);
  void visit(Visitor& visitor) override;

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;
  Conv2dOptions options_;
  Tensor weight_, bias_;
};

/// weight [in, out/groups, kh, kw].
class ConvTranspose2d : public UnaryModule {
 public:
  ConvTranspose2d(int64_t in_channels, int64_t out_channels, Size2d kernel_size, Generator& rng,
                  ConvTranspose2dOptions options = {}, bool bias = true);
  void visit(Visitor& visitor) override;

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;
  ConvTranspose2dOptions options_;
  Tensor weight_, bias_;
};

class MaxPool1d : public UnaryModule {
 public:
  explicit MaxPool1d(int64_t kernel_size, MaxPool1dOptions options = {}) : kernel_(kernel_size), options_(options) {}

 private:
  Tensor compute(const Tensor& x, Generator*) const override { return max_pool1d(x, kernel_, options_); }
  int64_t kernel_;
  MaxPool1dOptions options_;
};

class MaxPool2d : public UnaryModule {
 public:
  explicit MaxPool2d(Size2d kernel_size, MaxPool2dOptions options = {}) : kernel_(kernel_size), options_(options) {}

 private:
  Tensor compute(const Tensor& x, Generator*) const override { return max_pool2d(x, kernel_, options_); }
  Size2d kernel_;
  MaxPool2dOptions options_;
};

class AvgPool1d : public UnaryModule {
 public:
  explicit AvgPool1d(int64_t kernel_size, AvgPool1dOptions options = {}) : kernel_(kernel_size), options_(options) {}

 private:
  Tensor compute(const Tensor& x, Generator*) const override { return avg_pool1d(x, kernel_, options_); }
  int64_t kernel_;
  AvgPool1dOptions options_;
};

class AvgPool2d : public UnaryModule {
 public:
  explicit AvgPool2d(Size2d kernel_size, AvgPool2dOptions options = {}) : kernel_(kernel_size), options_(options) {}

 private:
  Tensor compute(const Tensor& x, Generator*) const override { return avg_pool2d(x, kernel_, options_); }
  Size2d kernel_;
  AvgPool2dOptions options_;
};

class AdaptiveAvgPool1d : public UnaryModule {
 public:
  explicit AdaptiveAvgPool1d(int64_t output_size) : size_(output_size) {}

 private:
  Tensor compute(const Tensor& x, Generator*) const override { return adaptive_avg_pool1d(x, size_); }
  int64_t size_;
};

class AdaptiveAvgPool2d : public UnaryModule {
 public:
  explicit AdaptiveAvgPool2d(Size2d output_size) : size_(output_size) {}

 private:
  Tensor compute(const Tensor& x, Generator*) const override { return adaptive_avg_pool2d(x, size_); }
  Size2d size_;
};

}  // namespace qing::nn
