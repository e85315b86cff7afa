// Convolution of one image and one group without columns. For groups of few filters, whose matrix products are too flat
// for GEMM. Not a public header.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/ops/convolution_shape.h>
#include <qing/tensor/ops/flat_planes.h>

namespace qing {

/// Whether this is faster than columns.
bool prefers_direct(const Convolution& c);

/// The channels of a group are stored in planes (flat_planes.h), so one tap of the filter reads one contiguous run for
/// all windows together. The elements between rows of windows are dropped, or 0 in gradients. (Then a weight or pixel
/// that is not finite makes NaN of its product with such a 0.) Owns the scratch memory of one thread.
template <class T> class DirectConvolution {
 public:
  explicit DirectConvolution(const Convolution& c);

  /// Loads the channels of a group of an image. clear(): zeros instead, to sum gradients in.
  void load(const T* image);
  void clear();
  /// y = bias + the filter's products with the loaded image. bias may be null. `filter` is [channels, h.kernel,
  /// w.kernel].
  void apply(const T* filter, const T* bias, T* y);
  /// Loaded image += the gradient of Σ dy·y with respect to it. store() then adds it to the channels of an image.
  void add_transposed(const T* filter, const T* dy);
  void store(T* image) const;
  /// dfilter += the gradient of Σ dy·y.
  void add_filter(const T* dy, T* dfilter);

 private:
  template <class Body> void for_each_run(Body body) const;
  template <class Body> void for_each_block(Body body);
  void read_block(const T* dy, int64_t first, int64_t rows);

  const Convolution& c_;
  FlatPlanes shape_;
  std::vector<int64_t> taps_;      // where each tap's run begins, channel by channel
  std::vector<T> planes_, block_;  // of all channels; rows of windows
};

}  // namespace qing
