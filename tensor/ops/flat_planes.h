// Padded planes of an image in which one tap of a filter reads one run of memory for all windows. Not a public header.
#pragma once

#include <algorithm>
#include <cstdint>

#include <qing/tensor/ops/window.h>

namespace qing {

/// The planes of one channel: one for each remainder of rows and columns by the strides (a phase), all with the same
/// row length. Window (i, j) is element i·pitch + j of a tap's run. The elements between rows of windows belong to no
/// window. With shared padding, where it is possible, zeros before a row are also those behind the row before it, and
/// likewise for planes one after the other.
struct FlatPlanes {
  Window h, w;
  int64_t pitch, height;  ///< the length of a plane's rows, and how many there are
  int64_t tall, wide;     ///< phases of rows and of columns that taps meet

  FlatPlanes(const Window& rows, const Window& columns, bool share_padding = false)
      : h(rows),
        w(columns),
        pitch(length(w, share_padding)),
        height(length(h, share_padding)),
        tall(std::min(h.stride, (h.kernel - 1) * h.dilation + 1)),
        wide(std::min(w.stride, (w.kernel - 1) * w.dilation + 1)) {}

  int64_t plane() const { return height * pitch; }  ///< elements
  /// Elements behind the last plane that its last taps read.
  int64_t overhang() const { return std::max<int64_t>(0, run() + place(h.kernel - 1, w.kernel - 1) - plane()); }
  int64_t phases() const { return tall * wide; }
  int64_t run() const { return (h.out - 1) * pitch + w.out; }  ///< from the first window to the last
  /// The phase that tap (i, j) reads, and where its run begins in that plane.
  int64_t phase(int64_t i, int64_t j) const { return i * h.dilation % h.stride * wide + j * w.dilation % w.stride; }
  int64_t place(int64_t i, int64_t j) const { return i * h.dilation / h.stride * pitch + j * w.dilation / w.stride; }

  /// Elements of a plane's row that are not padding: from `at` on they are the image's (y, x), (y, x + stride), ...
  struct Run {
    int64_t phase, at, y, x, count;
  };
  /// Calls body(run) for all rows of all phases.
  template <class Body> void for_each_run(Body body) const {
    for (int64_t i = 0; i < tall; ++i) {
      for (int64_t j = 0; j < wide; ++j) {
        // Column k of the plane is column k·stride + shift of the image.
        const int64_t shift = j - w.padding;
        const int64_t first = shift >= 0 ? 0 : (-shift + w.stride - 1) / w.stride;
        const int64_t last = shift >= w.in ? 0 : std::min(pitch, (w.in - 1 - shift) / w.stride + 1);
        if (first >= last) continue;
        for (int64_t r = 0; r < height; ++r) {
          const int64_t y = r * h.stride + i - h.padding;
          if (y < 0 || y >= h.in) continue;
          body(Run{i * wide + j, r * pitch + first, y, first * w.stride + shift, last - first});
        }
      }
    }
  }

 private:
  static int64_t length(const Window& window, bool share_padding) {
    const int64_t reach = window.out + (window.kernel - 1) * window.dilation / window.stride;
    // The elements of a row, or rows of a plane, with the zeros before them and without those behind.
    const int64_t shared = std::max(window.out, window.in + window.padding);
    const bool possible = window.stride == 1 && window.padding >= 0 && reach - shared <= window.padding;
    return share_padding && possible ? std::min(reach, shared) : reach;
  }
};

/// The windows first to first + rows − 1 of a dimension.
inline Window part_of(const Window& w, int64_t first, int64_t rows) {
  return {w.in, rows, w.kernel, w.stride, w.padding - first * w.stride, w.dilation};
}

/// The rows of an image that windows see.
struct SeenRows {
  int64_t begin, end;

  explicit SeenRows(const Window& h)
      : begin(std::clamp<int64_t>(-h.padding, 0, h.in)),
        end(std::clamp<int64_t>(h.at(h.out - 1, h.kernel - 1) + 1, begin, h.in)) {}
  int64_t count() const { return end - begin; }
};

/// to[k] = from[k·step]
template <class E> void copy_strided(const E* from, int64_t step, int64_t count, E* to) {
  if (step == 1) {
    std::copy_n(from, count, to);
  } else {
    for (int64_t k = 0; k < count; ++k) to[k] = from[k * step];
  }
}

}  // namespace qing
