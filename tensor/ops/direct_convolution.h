// Convolution of one image and one group without columns. For groups of few filters, whose matrix products are too flat
// for GEMM. Not a public header.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/ops/convolution_shape.h>

namespace qing {

/// Whether this is faster than columns.
bool prefers_direct(const Convolution& c);

/// The padded channels of a group are stored in planes of one row length: one plane for each remainder of rows and
/// columns by the strides. One tap of the filter then reads one contiguous run of a plane for all windows together. The
/// rows of windows have the same length; the elements between them are dropped, or 0 in gradients. (Then a weight or
/// pixel that is not finite makes NaN of its product with such a 0.) Owns the scratch memory of one thread.
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
  int64_t pitch_, rows_, plane_;   // the length of a plane's rows, how many there are, its size
  std::vector<int64_t> taps_;      // where each tap's run begins, channel by channel
  std::vector<T> planes_, block_;  // of all channels; rows of windows
};

}  // namespace qing
