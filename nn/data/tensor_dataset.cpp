#include <qing/nn/data/tensor_dataset.h>

#include <fmt/format.h>

#include <cmath>

#include <qing/nn/data/dataset.h>
#include <qing/tensor/errors.h>

namespace qing::nn {

TensorDataset::TensorDataset(std::vector<Tensor> tensors) : tensors_(std::move(tensors)) {
  if (tensors_.empty()) throw ShapeError("TensorDataset: there are no tensors; it needs at least one");
  for (const Tensor& tensor : tensors_) {
    if (tensor.dim() == 0 || tensor.size(0) != tensors_[0].size(0)) {
      throw ShapeError(fmt::format("TensorDataset: shapes {} and {}; the first dimensions, the examples, must be alike",
                                   to_string(tensors_[0].shape()), to_string(tensor.shape())));
    }
  }
}

TensorDataset::value_type TensorDataset::get(size_t i) const {
  check_index(i, size(), "TensorDataset");
  value_type example;
  for (const Tensor& tensor : tensors_) example.push_back(tensor.select(0, static_cast<int64_t>(i)));
  return example;
}

ImageDataset::ImageDataset(const Tensor& images, const Tensor& labels, std::vector<float> mean,
                           std::vector<float> stddev)
    : mean_(std::move(mean)), stddev_(std::move(stddev)) {
  if (images.dtype() != DType::u8) {
    throw DTypeError(fmt::format("ImageDataset: images are u8, got {}", name_of(images.dtype())));
  }
  if (labels.dtype() != DType::i32 && labels.dtype() != DType::i64) {
    throw DTypeError(fmt::format("ImageDataset: labels are i32 or i64, got {}", name_of(labels.dtype())));
  }
  if ((images.dim() != 3 && images.dim() != 4) || labels.dim() != 1 || labels.size(0) != images.size(0)) {
    throw ShapeError(
        fmt::format("ImageDataset: images {} and labels {}; they must be [n, height, width] or "
                    "[n, channels, height, width], and [n]",
                    to_string(images.shape()), to_string(labels.shape())));
  }
  images_ = (images.dim() == 3 ? images.unsqueeze(1) : images).contiguous();
  labels_ = labels.to(DType::i64).contiguous();
  const auto channels = static_cast<size_t>(images_.size(1));
  if (mean_.empty()) mean_.assign(channels, 0);
  if (stddev_.empty()) stddev_.assign(channels, 1);
  if (mean_.size() != channels || stddev_.size() != channels) {
    throw ShapeError(fmt::format("ImageDataset: {} means and {} deviations for {} channels", mean_.size(),
                                 stddev_.size(), channels));
  }
  for (const float deviation : stddev_) {
    if (!(deviation > 0 && std::isfinite(deviation)))
      throw ValueError(fmt::format("ImageDataset: a deviation of {}; it must be positive and finite", deviation));
  }
  for (const float mean : mean_) {
    if (!std::isfinite(mean)) throw ValueError(fmt::format("ImageDataset: a mean of {}; it must be finite", mean));
  }
}

ImageDataset::value_type ImageDataset::get(size_t i) const {
  check_index(i, size(), "ImageDataset");
  Tensor image = Tensor::empty({images_.size(1), images_.size(2), images_.size(3)});
  const int64_t pixels = images_.size(2) * images_.size(3);
  const uint8_t* from = images_.data<uint8_t>() + static_cast<int64_t>(i) * image.numel();
  float* to = image.data<float>();
  for (size_t c = 0; c < mean_.size(); ++c, from += pixels, to += pixels) {
    for (int64_t p = 0; p < pixels; ++p) to[p] = (static_cast<float>(from[p]) / 255.0f - mean_[c]) / stddev_[c];
  }
  return {std::move(image), labels_.data<int64_t>()[i]};
}

}  // namespace qing::nn
