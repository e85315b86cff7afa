// Windows of an image as columns of a matrix, and back.
#pragma once

#include <cstdint>

#include <qing/tensor/ops/window.h>

namespace qing {

/// columns[(c·h.kernel + i)·w.kernel + j][r·w.out + o] = image[c][h.at(first + r, i)][w.at(o, j)] for r < rows; 0 for
/// padding. Channels are spread over threads.
template <class T>
void im2col(const Window& h, const Window& w, int64_t channels, const T* image, int64_t first, int64_t rows,
            T* columns);

/// The transpose: adds every element of `columns` to the element of `image` that it came from, in a fixed order.
template <class T>
void col2im(const Window& h, const Window& w, int64_t channels, const T* columns, int64_t first, int64_t rows,
            T* image);

}  // namespace qing
