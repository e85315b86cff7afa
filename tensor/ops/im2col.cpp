#include <qing/tensor/ops/im2col.h>

#include <algorithm>

#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// The number of elements of columns that is worth a thread.
constexpr int64_t kTapGrain = 1 << 15;

// Calls body(channel, row of columns, i, j) for every element of the windows.
template <class Body> void over_channels(const Window& h, const Window& w, int64_t channels, int64_t rows, Body body) {
  const int64_t taps = h.kernel * w.kernel;
  const int64_t grain = std::max<int64_t>(1, kTapGrain / std::max<int64_t>(1, taps * rows * w.out));
  parallel_for(channels, grain, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      for (int64_t tap = 0; tap < taps; ++tap) body(c, c * taps + tap, tap / w.kernel, tap % w.kernel);
    }
  });
}

}  // namespace

template <class T>
void im2col(const Window& h, const Window& w, int64_t channels, const T* image, int64_t first, int64_t rows,
            T* columns) {
  over_channels(h, w, channels, rows, [&](int64_t c, int64_t line, int64_t i, int64_t j) {
    const auto [left, right] = w.inside(j);
    T* to = columns + line * rows * w.out;
    for (int64_t r = 0; r < rows; ++r, to += w.out) {
      const int64_t y = h.at(first + r, i);
      if (y < 0 || y >= h.in) {
        std::fill(to, to + w.out, T(0));
        continue;
      }
      const T* from = image + (c * h.in + y) * w.in;
      std::fill(to, to + left, T(0));
      if (w.stride == 1) {
        if (left < right) std::copy_n(from + w.at(left, j), right - left, to + left);
      } else {
        for (int64_t o = left; o < right; ++o) to[o] = from[w.at(o, j)];
      }
      std::fill(to + right, to + w.out, T(0));
    }
  });
}

template <class T>
void col2im(const Window& h, const Window& w, int64_t channels, const T* columns, int64_t first, int64_t rows,
            T* image) {
  const auto& table = kernels::kernels<T>();
  over_channels(h, w, channels, rows, [&](int64_t c, int64_t line, int64_t i, int64_t j) {
    const auto [left, right] = w.inside(j);
    if (left == right) return;
    const T* from = columns + line * rows * w.out;
    for (int64_t r = 0; r < rows; ++r, from += w.out) {
      const int64_t y = h.at(first + r, i);
      if (y < 0 || y >= h.in) continue;
      T* to = image + (c * h.in + y) * w.in;
      if (w.stride == 1) {
        T* run = to + w.at(left, j);
        table.add(right - left, run, from + left, run);
      } else {
        for (int64_t o = left; o < right; ++o) to[w.at(o, j)] += from[o];
      }
    }
  });
}

#define QING_INSTANTIATE(T)                                                                       \
  template void im2col<T>(const Window&, const Window&, int64_t, const T*, int64_t, int64_t, T*); \
  template void col2im<T>(const Window&, const Window&, int64_t, const T*, int64_t, int64_t, T*);
QING_INSTANTIATE(float)
QING_INSTANTIATE(double)
#undef QING_INSTANTIATE

}  // namespace qing
