// Batches of images for training: random crops, flips and erased rectangles, and mixup.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <qing/nn/data/sampler.h>
#include <qing/nn/images/resize.h>
#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing::optim {

struct Augmentation {
  int64_t crop_padding = 2;  ///< images are padded with black by so many pixels and cropped at random; 0: not
  double flip = 0.5;         ///< probability of a horizontal mirror image
  /// Probability that a rectangle of 2% to 33% of the image is replaced by the mean colour (random erasing, Zhong et
  /// al. 2020).
  double erase = 0;
  /// α of mixup (Zhang et al. 2018): images and targets are mixed pairwise by a share drawn from Beta(α, α), one for a
  /// batch; 0: not.
  double mixup = 0;
  double label_smoothing = 0;  ///< share of each target spread evenly over the labels

  /// ValueError naming the option, unless crop_padding is in [0, 1024], flip, erase and mixup in [0, 1], and
  /// label_smoothing in [0, 1).
  void validate() const;
};

struct ImageBatch {
  Tensor x;        ///< f32 [images, channels, height, width], normalized
  Tensor targets;  ///< f32 [images, classes]: probabilities
};

/// Makes batches of the images with these indices. What is drawn is a function of (seed, epoch, batch, place in the
/// batch), so it depends neither on threads nor on a restart. Immutable: any number of threads may use it.
class ImageCollate {
 public:
  /// `pixels` is u8 [images, height, width, channels] and outlives it, as do the labels. ValueError as
  /// Augmentation::validate.
  ImageCollate(Tensor pixels, std::span<const int32_t> labels, int64_t classes, nn::ImagePreprocessing preprocessing,
               Augmentation augmentation, uint64_t seed);

  ImageBatch operator()(std::vector<size_t> indices, const nn::BatchNumber& number) const;

 private:
  void augment(size_t index, Generator& rng, float* to) const;
  void erase(Generator& rng, float* to) const;
  void mix(Generator& rng, ImageBatch& batch) const;

  Tensor pixels_;
  std::span<const int32_t> labels_;
  int64_t classes_;
  nn::ImagePreprocessing preprocessing_;
  Augmentation augmentation_;
  uint64_t seed_;
  std::vector<float> black_;  // of each channel, normalized
};

}  // namespace qing::optim
