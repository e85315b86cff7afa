#include <qing/tensor/ops/pixel_rows.h>

#include <algorithm>

#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// The most elements of the filters that all windows of a row meet before the next ones: a part of the second cache.
constexpr int64_t kFilterElements = 1 << 16;
// The number of elements whose packing is worth a thread.
constexpr int64_t kFilterPackGrain = 1 << 15;

}  // namespace

template <class T>
PackedFilters<T>::PackedFilters(const FilterView<T>& view)
    : filters_(view.filters), channels_(view.channels), rows_(view.h.count), columns_(view.w.count) {
  const int64_t nr = kernels::kernels<T>().nr, panels = (filters_ + nr - 1) / nr, size = depth() * nr;
  if (panels * size == 0) return;
  panels_ = Tensor::empty({panels, size}, dtype_of<T>);
  T* const out = panels_.template data<T>();
  parallel_for(panels, std::max<int64_t>(1, kFilterPackGrain / size), [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t lanes = std::min(nr, filters_ - panel * nr);
      T* to = out + panel * size;
      for (int64_t i = 0; i < rows_; ++i) {
        for (int64_t j = 0; j < columns_; ++j) {
          const T* from = view.data + panel * nr * view.filter_step +
                          (view.h.first + i * view.h.step) * view.kernel_width + view.w.first + j * view.w.step;
          for (int64_t c = 0; c < channels_; ++c, from += view.channel_step, to += nr) {
            for (int64_t l = 0; l < lanes; ++l) to[l] = from[l * view.filter_step];
            std::fill(to + lanes, to + nr, T(0));
          }
        }
      }
    }
  });
}

template <class T> const T* PackedFilters<T>::panel(int64_t f) const {
  return panels_.template data<T>() + f / kernels::kernels<T>().nr * depth() * kernels::kernels<T>().nr;
}

template <class T>
void convolve_pixels(const PixelWindows<T>& windows, const PackedFilters<T>& filters, int64_t first, int64_t count) {
  const auto& table = kernels::kernels<T>();
  const int64_t nr = table.nr, channels = filters.channels(), depth = filters.depth();
  const int64_t step = std::max(nr, kFilterElements / std::max<int64_t>(1, depth) / nr * nr);
  const int64_t tiles = (windows.columns + table.mr - 1) / table.mr;
  // A window's row is one run if its pixels are adjacent. All rows are then one call, else there is a call for each.
  const bool adjacent = windows.x.pixel == channels && windows.dilation_w == 1;
  const int64_t calls = adjacent ? 1 : filters.rows();
  kernels::WindowStrip<T> strip{};
  strip.runs = adjacent ? filters.rows() : filters.columns();
  strip.k = adjacent ? filters.columns() * channels : channels;
  strip.a_row = windows.stride_w * windows.x.pixel;
  strip.a_column = 1;
  strip.a_run = adjacent ? windows.dilation_h * windows.x.row : windows.dilation_w * windows.x.pixel;
  strip.b_row = nr;
  strip.b_run = strip.k * nr;
  strip.b_panel = depth * nr;
  strip.ldc = windows.y.pixel;
  for (int64_t f = first; f < first + count; f += step) {
    strip.columns = std::min(step, first + count - f);
    for (int64_t i = 0; i < windows.rows; ++i) {
      for (int64_t tile = 0; tile < tiles; ++tile) {
        const int64_t j = windows.columns * tile / tiles;
        strip.rows = windows.columns * (tile + 1) / tiles - j;
        strip.c = windows.y.at(i, j) + f;
        strip.base = windows.base.data != nullptr ? windows.base.at(i, j) + f : nullptr;
        strip.ldbase = windows.base.pixel;
        const T* a = windows.x.at(i * windows.stride_h, j * windows.stride_w);
        for (int64_t call = 0; call < calls; ++call) {
          const bool last = call + 1 == calls;
          strip.a = a + call * windows.dilation_h * windows.x.row;
          strip.b = filters.panel(f) + call * filters.columns() * channels * nr;
          strip.bias = last && windows.bias != nullptr ? windows.bias + f : nullptr;
          strip.relu = last && windows.relu;
          table.window_strip(strip);
          strip.base = strip.c;
          strip.ldbase = strip.ldc;
        }
      }
    }
  }
}

template <class T>
void load_pixels(const T* image, int64_t channels, int64_t height, int64_t width, int64_t plane, int64_t first,
                 int64_t rows, int64_t left, int64_t columns, const Pixels<T>& to) {
  const auto& table = kernels::kernels<T>();
  const int64_t begin = std::max<int64_t>(0, -left), end = std::clamp(width - left, begin, columns);
  const auto clear = [&](int64_t i, int64_t from, int64_t past) {
    for (int64_t j = from; j < past; ++j) std::fill_n(to.at(i, j), channels, T(0));
  };
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t y = first + i;
    if (y < 0 || y >= height) {
      clear(i, 0, columns);
      continue;
    }
    clear(i, 0, begin);
    clear(i, end, columns);
    if (begin == end) continue;
    table.transpose(channels, end - begin, image + y * width + left + begin, plane, to.at(i, begin), to.pixel);
  }
}

#define QING_INSTANTIATE(T)                                                                                      \
  template class PackedFilters<T>;                                                                               \
  template void convolve_pixels<T>(const PixelWindows<T>&, const PackedFilters<T>&, int64_t, int64_t);           \
  template void load_pixels<T>(const T*, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, \
                               const Pixels<T>&);
QING_INSTANTIATE(float)
QING_INSTANTIATE(double)
#undef QING_INSTANTIATE

}  // namespace qing
