#include <qing/nn/layers/conv.h>

#include <fmt/format.h>

#include <algorithm>

#include <qing/nn/forgotten_layers.h>
#include <qing/nn/init.h>
#include <qing/nn/layers/check.h>
#include <qing/nn/layers/conv3d.h>

namespace qing::nn {
namespace {

struct Parameters {
  Tensor weight, bias;
};

// A weight [first, second/groups, kernel...] with torch's default values, and a bias [out].
Parameters draw(const char* layer, int64_t first, int64_t second, int64_t groups, const Shape& kernel, int64_t out,
                bool bias, Generator& rng) {
  check_at_least(layer, "channels", std::min(first, second), 1);
  check_at_least(layer, "groups", groups, 1);
  for (const int64_t size : kernel) check_at_least(layer, "kernel_size", size, 1);
  if (first % groups != 0 || second % groups != 0) {
    throw ValueError(fmt::format("{}: {} and {} channels do not divide into {} groups", layer, first, second, groups));
  }
  Shape shape = {first, second / groups};
  shape.insert(shape.end(), kernel.begin(), kernel.end());
  Parameters drawn{Tensor::empty(shape), bias ? Tensor::empty({out}) : Tensor()};
  init::linear_default(drawn.weight, drawn.bias, rng);
  return drawn;
}

}  // namespace

Conv1d::Conv1d(int64_t in_channels, int64_t out_channels, int64_t kernel_size, Generator& rng, Conv1dOptions options,
               bool bias)
    : options_(options) {
  auto drawn = draw("Conv1d", out_channels, in_channels, options.groups, {kernel_size}, out_channels, bias, rng);
  weight_ = drawn.weight, bias_ = drawn.bias;
}

void Conv1d::visit(Visitor& visitor) {
  visitor.parameter("weight", weight_);
  visitor.parameter("bias", bias_);
}

Tensor Conv1d::compute(const Tensor& x, Generator*) const {
  note_use(*this, weight_);
  return conv1d(x, weight_, bias_, options_);
}

Conv2d::Conv2d(int64_t in_channels, int64_t out_channels, Size2d kernel_size, Generator& rng, Conv2dOptions options,
               bool bias)
    : options_(options) {
  auto drawn = draw("Conv2d", out_channels, in_channels, options.groups, {kernel_size.h, kernel_size.w}, out_channels,
                    bias, rng);
  weight_ = drawn.weight, bias_ = drawn.bias;
}

void Conv2d::visit(Visitor& visitor) {
  visitor.parameter("weight", weight_);
  visitor.parameter("bias", bias_);
}

Tensor Conv2d::compute(const Tensor& x, Generator*) const {
  note_use(*this, weight_);
  return conv2d(x, weight_, bias_, options_);
}

ConvTranspose2d::ConvTranspose2d(int64_t in_channels, int64_t out_channels, Size2d kernel_size, Generator& rng,
                                 ConvTranspose2dOptions options, bool bias)
    : options_(options) {
  auto drawn = draw("ConvTranspose2d", in_channels, out_channels, options.groups, {kernel_size.h, kernel_size.w},
                    out_channels, bias, rng);
  weight_ = drawn.weight, bias_ = drawn.bias;
}

void ConvTranspose2d::visit(Visitor& visitor) {
  visitor.parameter("weight", weight_);
  visitor.parameter("bias", bias_);
}

Tensor ConvTranspose2d::compute(const Tensor& x, Generator*) const {
  note_use(*this, weight_);
  return conv_transpose2d(x, weight_, bias_, options_);
}

Conv3d::Conv3d(int64_t in_channels, int64_t out_channels, Size3d kernel_size, Generator& rng, Conv3dOptions options,
               bool bias)
    : options_(options) {
  auto drawn = draw("Conv3d", out_channels, in_channels, options.groups, {kernel_size.d, kernel_size.h, kernel_size.w},
                    out_channels, bias, rng);
  weight_ = drawn.weight, bias_ = drawn.bias;
}

void Conv3d::visit(Visitor& visitor) {
  visitor.parameter("weight", weight_);
  visitor.parameter("bias", bias_);
}

Tensor Conv3d::compute(const Tensor& x, Generator*) const {
  note_use(*this, weight_);
  return conv3d(x, weight_, bias_, options_);
}

ConvTranspose3d::ConvTranspose3d(int64_t in_channels, int64_t out_channels, Size3d kernel_size, Generator& rng,
                                 ConvTranspose3dOptions options, bool bias)
    : options_(options) {
  auto drawn = draw("ConvTranspose3d", in_channels, out_channels, options.groups,
                    {kernel_size.d, kernel_size.h, kernel_size.w}, out_channels, bias, rng);
  weight_ = drawn.weight, bias_ = drawn.bias;
}

void ConvTranspose3d::visit(Visitor& visitor) {
  visitor.parameter("weight", weight_);
  visitor.parameter("bias", bias_);
}

Tensor ConvTranspose3d::compute(const Tensor& x, Generator*) const {
  note_use(*this, weight_);
  return conv_transpose3d(x, weight_, bias_, options_);
}

}  // namespace qing::nn
