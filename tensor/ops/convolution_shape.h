// The sizes of a convolution in two dimensions.
#pragma once

#include <cstdint>

#include <qing/tensor/ops/window.h>

namespace qing {

/// x is [images, channels, h.in, w.in], the weight [filters, channels/groups, h.kernel, w.kernel], y [images, filters,
/// h.out, w.out]; a filter of group g sees the channels of group g. groups divides channels and filters.
struct Convolution {
  int64_t images, channels, filters, groups;
  Window h, w;

  int64_t group_channels() const { return channels / groups; }
  int64_t group_filters() const { return filters / groups; }
  int64_t depth() const { return group_channels() * h.kernel * w.kernel; }  ///< products in an element of y
  int64_t in_pixels() const { return h.in * w.in; }
  int64_t out_pixels() const { return h.out * w.out; }
};

}  // namespace qing
