// Attribution of an image's label to its pixels.
#pragma once

#include <cstdint>

#include <qing/nn/module.h>
#include <qing/tensor/tensor.h>

namespace qing::nn {

/// Why an image has its label: integrated gradients (Sundararajan, Taly & Yan 2017) over the network's input, from a
/// black image.
struct ImageExplanation {
  int32_t label;
  double score, baseline;  ///< probability of the label for the image and for the black one
  Tensor weights;  ///< f32 [height, width]: the sum over the channels. Their sum is score − baseline up to `gap`.
  double gap;      ///< error of the numerical integration
};

/// Integrated gradients of the label's probability along the straight line from `baseline` to x, both f32 [1, channels,
/// height, width]: the gradient's mean times the difference, summed over the channels. The number of steps (midpoints)
/// is doubled until the weights sum to the difference of the probabilities within 1%, or is 256. The network must be in
/// evaluation mode. Thread-safe.
ImageExplanation pixel_gradients(const UnaryModule& network, const Tensor& x, const Tensor& baseline, int32_t label);

}  // namespace qing::nn
