// Attribution of an image's label to its pixels. Private to nn/.
#pragma once

#include <qing/nn/models/image_classifier.h>

namespace qing::nn {

/// Integrated gradients of the label's probability along the straight line from `baseline` to x, both f32 [1, channels,
/// height, width]: the gradient's mean times the difference, summed over the channels. The number of steps (midpoints)
/// is doubled until the weights sum to the difference of the probabilities within 1%, or is 256. The network must be in
/// evaluation mode. Thread-safe.
ImageExplanation pixel_gradients(const UnaryModule& network, const Tensor& x, const Tensor& baseline, int32_t label);

}  // namespace qing::nn
