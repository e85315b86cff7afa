// Convolution of one image and one group without columns: for groups of few filters, whose products are too flat for
// GEMM. Not a public header.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/ops/convolution_shape.h>

namespace qing {

/// Whether it is the faster way.
bool prefers_direct(const Convolution& c);

/// The channels of a group lie padded in planes of one row length, one for each remainder of rows and columns by the
/// strides. Then what a tap of the filter sees of a plane is, for all windows together, one run of memory: the windows'
/// own rows have that length too, and what comes between them is dropped, or 0 (in gradients: a weight or a pixel that
/// is not finite makes NaN of its product with it). Scratch memory of one thread.
template <class T> class DirectConvolution {
 public:
  explicit DirectConvolution(const Convolution& c);

  /// Takes the channels of a group of an image, or zeros to add gradients up in.
  void load(const T* image);
  void clear();
  /// y = bias + the filter's products with what is loaded; bias may be null. `filter` is [channels, h.kernel,
  /// w.kernel].
  void apply(const T* filter, const T* bias, T* y);
  /// What is loaded += the gradient by it of Σ dy·y, which store() adds to the channels of an image.
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
