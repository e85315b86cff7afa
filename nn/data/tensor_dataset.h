// Data sets of tensors: one example is one index of their first dimension.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing::nn {

/// Example i is {tensors[0][i], tensors[1][i], ...}, views of the tensors. ShapeError without tensors, for a tensor
/// without dimensions, and when first dimensions differ.
class TensorDataset {
 public:
  using value_type = std::vector<Tensor>;
  explicit TensorDataset(std::vector<Tensor> tensors);
  size_t size() const { return static_cast<size_t>(tensors_[0].size(0)); }
  value_type get(size_t i) const;  ///< IndexError

 private:
  std::vector<Tensor> tensors_;
};

/// Images of bytes with labels. Example i is {f32 [channels, height, width], label}, where a byte b of channel c
/// becomes (b/255 − mean[c]) / stddev[c]. Examples are computed on request.
class ImageDataset {
 public:
  using value_type = std::pair<Tensor, int64_t>;
  /// images u8 [n, height, width] (one channel) or [n, channels, height, width]; labels i32 or i64 [n]. mean and stddev
  /// have one number per channel, or none for 0 and 1. ShapeError, DTypeError. ValueError for a stddev that is not
  /// positive and finite, or a mean that is not finite.
  ImageDataset(const Tensor& images, const Tensor& labels, std::vector<float> mean = {},
               std::vector<float> stddev = {});
  size_t size() const { return static_cast<size_t>(images_.size(0)); }
  value_type get(size_t i) const;  ///< IndexError

 private:
  Tensor images_;  // u8 [n, channels, height, width], contiguous
  Tensor labels_;  // i64 [n], contiguous
  std::vector<float> mean_, stddev_;
};

}  // namespace qing::nn
