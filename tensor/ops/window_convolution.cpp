#include <qing/tensor/ops/window_convolution.h>

#include <algorithm>
#include <vector>

#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/gemm_blocks.h>
#include <qing/tensor/ops/pixel_rows.h>
#include <qing/tensor/ops/transposed_phases.h>
#include <qing/tensor/ops/weight_parts.h>
#include <qing/tensor/tensor.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// The most elements of an image's pixels and results that are computed at a time: they stay in the second cache.
constexpr int64_t kImageBlockElements = 1 << 17;
// The most sums in all parts of the gradient of a weight.
constexpr int64_t kGradientElements = 1 << 22;

// The tasks of a product: blocks of rows of each image and group, and, if these are fewer than the threads, parts of
// the columns. How a product is cut does not change its bits.
struct Cut {
  int64_t rows, blocks;     // rows of a block, and how many there are in an image
  int64_t columns, strips;  // columns of a part (a multiple of nr), and how many parts there are

  Cut(int64_t height, int64_t row_elements, int64_t filters, int64_t images, int64_t nr) {
    const auto threads = static_cast<int64_t>(num_threads());
    rows = std::clamp<int64_t>(kImageBlockElements / std::max<int64_t>(1, row_elements), 1, height);
    rows = std::min(rows, std::max<int64_t>(1, divided_up(height, divided_up(threads, std::max<int64_t>(1, images)))));
    blocks = divided_up(height, rows);
    const int64_t wanted = divided_up(threads, std::max<int64_t>(1, images * blocks));
    columns = divided_up(divided_up(filters, wanted), nr) * nr;
    strips = divided_up(filters, columns);
  }
};

// The padded pixels that the windows of `rows` rows see.
int64_t seen(const Window& w, int64_t windows) { return (windows - 1) * w.stride + (w.kernel - 1) * w.dilation + 1; }

}  // namespace

template <class T> bool prefers_windows(const Convolution& c) {
  return c.group_filters() * 2 >= kernels::kernels<T>().nr && c.depth() > 0 && c.out_pixels() > 0;
}

template <class T> bool prefers_transposed_windows(const Convolution& c) {
  const bool undilated = c.h.dilation == 1 && c.w.dilation == 1;
  return c.group_channels() * 2 >= kernels::kernels<T>().nr && c.group_filters() > 0 && c.out_pixels() > 0 &&
         (undilated || (c.h.stride == 1 && c.w.stride == 1));
}

template <class T> void convolve_windows(const Convolution& c, const T* x, const T* weight, const T* bias, T* y) {
  const auto& table = kernels::kernels<T>();
  const int64_t channels = c.group_channels(), filters = c.group_filters(), taps = c.h.kernel * c.w.kernel;
  std::vector<PackedFilters<T>> packed;
  for (int64_t g = 0; g < c.groups; ++g) {
    packed.emplace_back(FilterView<T>{weight + g * filters * c.depth(),
                                      filters,
                                      channels,
                                      c.depth(),
                                      taps,
                                      c.w.kernel,
                                      {0, 1, c.h.kernel},
                                      {0, 1, c.w.kernel}});
  }
  const int64_t in_step = pixel_step<T>(channels), out_step = pixel_step<T>(filters), wide = seen(c.w, c.w.out);
  const Cut cut(c.h.out, c.h.stride * wide * in_step + c.w.out * out_step, filters, c.images * c.groups, table.nr);
  const int64_t tasks = c.images * c.groups * cut.blocks * cut.strips;
  parallel_for(tasks, 1, [&](int64_t begin, int64_t end) {
    const Tensor in = Tensor::empty({seen(c.h, cut.rows) * wide * in_step}, dtype_of<T>),
                 out = Tensor::empty({cut.rows * c.w.out * out_step}, dtype_of<T>);
    const Pixels<T> pixels{in.data<T>(), wide * in_step, in_step}, results{out.data<T>(), c.w.out * out_step, out_step};
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task / cut.strips % cut.blocks * cut.rows, rows = std::min(cut.rows, c.h.out - first);
      const int64_t image = task / cut.strips / cut.blocks, n = image / c.groups, g = image % c.groups;
      const int64_t column = task % cut.strips * cut.columns, columns = std::min(cut.columns, filters - column);
      load_pixels(x + (n * c.channels + g * channels) * c.in_pixels(), channels, c.h.in, c.w.in, c.in_pixels(),
                  first * c.h.stride - c.h.padding, seen(c.h, rows), -c.w.padding, wide, pixels);
      convolve_pixels<T>({.rows = rows,
                          .columns = c.w.out,
                          .x = {pixels.data, pixels.row, pixels.pixel},
                          .stride_h = c.h.stride,
                          .stride_w = c.w.stride,
                          .dilation_h = c.h.dilation,
                          .dilation_w = c.w.dilation,
                          .y = results,
                          .bias = bias != nullptr ? bias + g * filters : nullptr},
                         packed[static_cast<size_t>(g)], column, columns);
      table.transpose(rows * c.w.out, columns, results.data + column, out_step,
                      y + (n * c.filters + g * filters + column) * c.out_pixels() + first * c.w.out, c.out_pixels());
    }
  });
}

namespace {

// The rows of dy that pixels first to first + count − 1 (in units of strides) of any phase meet.
struct Reach {
  int64_t low, high;  // low is relative to the first of the pixels, high to the last

  Reach(const std::vector<Phase>& all, int64_t dilation) : low(0), high(0) {
    for (const Phase& phase : all) {
      if (phase.taps.count == 0) continue;
      low = std::min(low, phase.shift);
      high = std::max(high, phase.shift + (phase.taps.count - 1) * dilation);
    }
  }
  int64_t length(int64_t pixels) const { return pixels + high - low; }
};

// table.transpose(), or added to what is there.
template <class T>
void put_transposed(int64_t rows, int64_t columns, const T* in, int64_t in_step, T* out, int64_t out_step,
                    bool accumulate, T* scratch) {
  const auto& table = kernels::kernels<T>();
  if (!accumulate) return table.transpose(rows, columns, in, in_step, out, out_step);
  table.transpose(rows, columns, in, in_step, scratch, rows);
  for (int64_t j = 0; j < columns; ++j) table.add(rows, scratch + j * rows, out + j * out_step, out + j * out_step);
}

}  // namespace

template <class T> void transposed_windows(const Convolution& c, const T* weight, const T* dy, T* dx, bool accumulate) {
  const auto& table = kernels::kernels<T>();
  const int64_t channels = c.group_channels(), filters = c.group_filters(), taps = c.h.kernel * c.w.kernel;
  const std::vector<Phase> tall = phases_of(c.h), wide = phases_of(c.w);
  const Reach reach_h(tall, c.h.dilation), reach_w(wide, c.w.dilation);
  std::vector<PackedFilters<T>> packed;  // [groups, phases of rows, phases of columns]
  for (int64_t g = 0; g < c.groups; ++g) {
    for (const Phase& i : tall) {
      for (const Phase& j : wide) {
        packed.emplace_back(FilterView<T>{weight + g * filters * c.depth(), channels, filters, taps, c.depth(),
                                          c.w.kernel, i.taps, j.taps});
      }
    }
  }
  // Rows and columns of dx in units of strides.
  const int64_t units_h = divided_up(c.h.in, c.h.stride), units_w = divided_up(c.w.in, c.w.stride);
  const int64_t in_step = pixel_step<T>(filters), out_step = pixel_step<T>(channels);
  const int64_t length = reach_w.length(units_w);
  const Cut cut(units_h, length * in_step + c.h.stride * c.w.in * out_step, channels, c.images * c.groups, table.nr);
  parallel_for(c.images * c.groups * cut.blocks * cut.strips, 1, [&](int64_t begin, int64_t end) {
    const int64_t most = cut.rows * c.h.stride * c.w.in * out_step;
    const Tensor in = Tensor::empty({reach_h.length(cut.rows) * length * in_step}, dtype_of<T>),
                 out = Tensor::empty({most}, dtype_of<T>),
                 sum = Tensor::empty({accumulate ? most : int64_t{0}}, dtype_of<T>);
    const Pixels<T> pixels{in.data<T>(), length * in_step, in_step},
        results{out.data<T>(), c.w.in * out_step, out_step};
    for (int64_t task = begin; task < end; ++task) {
      const int64_t unit = task / cut.strips % cut.blocks * cut.rows, units = std::min(cut.rows, units_h - unit);
      const int64_t image = task / cut.strips / cut.blocks, n = image / c.groups, g = image % c.groups;
      const int64_t column = task % cut.strips * cut.columns, columns = std::min(cut.columns, channels - column);
      load_pixels(dy + (n * c.filters + g * filters) * c.out_pixels(), filters, c.h.out, c.w.out, c.out_pixels(),
                  unit + reach_h.low, reach_h.length(units), reach_w.low, length, pixels);
      const int64_t first = unit * c.h.stride, rows = std::min(units * c.h.stride, c.h.in - first);
      for (size_t i = 0; i < tall.size(); ++i) {
        for (size_t j = 0; j < wide.size(); ++j) {
          const auto row = static_cast<int64_t>(i), at = static_cast<int64_t>(j);
          if (row >= rows || at >= c.w.in) continue;
          const PixelWindows<T> windows{
              .rows = divided_up(rows - row, c.h.stride),
              .columns = divided_up(c.w.in - at, c.w.stride),
              .x = {pixels.at(tall[i].shift - reach_h.low, wide[j].shift - reach_w.low), pixels.row, pixels.pixel},
              .stride_h = 1,
              .stride_w = 1,
              .dilation_h = c.h.dilation,
              .dilation_w = c.w.dilation,
              .y = {results.at(row, at), c.h.stride * results.row, c.w.stride * results.pixel}};
          const PackedFilters<T>& part = packed[(static_cast<size_t>(g) * tall.size() + i) * wide.size() + j];
          if (part.depth() > 0) {
            convolve_pixels(windows, part, column, columns);
            continue;
          }
          for (int64_t r = 0; r < windows.rows; ++r) {
            for (int64_t k = 0; k < windows.columns; ++k) std::fill_n(windows.y.at(r, k) + column, columns, T(0));
          }
        }
      }
      put_transposed(rows * c.w.in, columns, results.data + column, out_step,
                     dx + (n * c.channels + g * channels + column) * c.in_pixels() + first * c.w.in, c.in_pixels(),
                     accumulate, sum.data<T>());
    }
  });
}

namespace {

// Adds the products of a block of rows of an image to `sums`, the gradient as [kh, kw, channels, filters].
template <class T>
void add_weight_block(const Convolution& c, const Pixels<T>& x, const Pixels<T>& dy, int64_t rows, int64_t column,
                      int64_t columns, T* sums) {
  const auto& table = kernels::kernels<T>();
  const int64_t channels = c.group_channels(), filters = c.group_filters();
  // A row of a window is one run of memory if its pixels are adjacent.
  const bool adjacent = x.pixel == channels && c.w.dilation == 1;
  const int64_t runs = adjacent ? 1 : c.w.kernel, run = adjacent ? c.w.kernel * channels : channels;
  const int64_t strips = divided_up(run, table.mr);
  for (int64_t i = 0; i < c.h.kernel; ++i) {
    for (int64_t j = 0; j < runs; ++j, sums += run * filters) {
      const T* const from = x.at(i * c.h.dilation, j * c.w.dilation);
      for (int64_t strip = 0; strip < strips; ++strip) {
        const int64_t at = run * strip / strips;
        T* const to = sums + at * filters + column;
        table.window_strip({.rows = run * (strip + 1) / strips - at,
                            .columns = columns,
                            .runs = rows,
                            .k = c.w.out,
                            .a = from + at,
                            .a_row = 1,
                            .a_column = c.w.stride * x.pixel,
                            .a_run = c.h.stride * x.row,
                            .b = dy.data + column,
                            .b_row = dy.pixel,
                            .b_run = dy.row,
                            .b_panel = table.nr,
                            .c = to,
                            .ldc = filters,
                            .base = to,
                            .ldbase = filters,
                            .bias = nullptr,
                            .relu = false});
      }
    }
  }
}

}  // namespace

template <class T> void weight_windows(const Convolution& c, const T* x, const T* dy, T* dweight, bool accumulate) {
  const auto& table = kernels::kernels<T>();
  const int64_t channels = c.group_channels(), filters = c.group_filters(), depth = c.depth();
  const int64_t taps = c.h.kernel * c.w.kernel;
  const WeightParts divided = weight_parts(c, kGradientElements);
  const int64_t images = divided.images, parts = divided.parts;
  const Tensor sums = Tensor::zeros({parts, c.groups, taps * channels, filters}, dtype_of<T>);
  const int64_t in_step = pixel_step<T>(channels), out_step = pixel_step<T>(filters), wide = seen(c.w, c.w.out);
  Cut cut(c.h.out, c.h.stride * wide * in_step + c.w.out * out_step, filters, parts * c.groups, table.nr);
  // A part's images are added in order, so its blocks are no tasks of their own.
  cut.rows = std::clamp<int64_t>(kImageBlockElements / (c.h.stride * wide * in_step + c.w.out * out_step), 1, c.h.out);
  const int64_t split = divided_up(num_threads(), parts * c.groups);
  cut.columns = divided_up(divided_up(filters, split), table.nr) * table.nr;
  cut.strips = divided_up(filters, cut.columns);
  parallel_for(parts * c.groups * cut.strips, 1, [&](int64_t begin, int64_t end) {
    const Tensor in = Tensor::empty({seen(c.h, cut.rows) * wide * in_step}, dtype_of<T>),
                 out = Tensor::empty({cut.rows * c.w.out * out_step}, dtype_of<T>);
    const Pixels<T> pixels{in.data<T>(), wide * in_step, in_step},
        upstream{out.data<T>(), c.w.out * out_step, out_step};
    for (int64_t task = begin; task < end; ++task) {
      const int64_t part = task / cut.strips / c.groups, g = task / cut.strips % c.groups;
      const int64_t column = task % cut.strips * cut.columns, columns = std::min(cut.columns, filters - column);
      for (int64_t n = part * images; n < std::min(c.images, (part + 1) * images); ++n) {
        for (int64_t first = 0; first < c.h.out; first += cut.rows) {
          const int64_t rows = std::min(cut.rows, c.h.out - first);
          load_pixels(x + (n * c.channels + g * channels) * c.in_pixels(), channels, c.h.in, c.w.in, c.in_pixels(),
                      first * c.h.stride - c.h.padding, seen(c.h, rows), -c.w.padding, wide, pixels);
          load_pixels(dy + (n * c.filters + g * filters) * c.out_pixels(), filters, c.h.out, c.w.out, c.out_pixels(),
                      first, rows, 0, c.w.out, upstream);
          add_weight_block(c, pixels, upstream, rows, column, columns,
                           sums.data<T>() + (part * c.groups + g) * depth * filters);
        }
      }
    }
  });
  sum_weight_parts(c, parts, sums.data<T>(), dweight, accumulate);
}

#define QING_INSTANTIATE(T)                                                                \
  template bool prefers_windows<T>(const Convolution&);                                    \
  template bool prefers_transposed_windows<T>(const Convolution&);                         \
  template void convolve_windows<T>(const Convolution&, const T*, const T*, const T*, T*); \
  template void transposed_windows<T>(const Convolution&, const T*, const T*, T*, bool);   \
  template void weight_windows<T>(const Convolution&, const T*, const T*, T*, bool);
QING_INSTANTIATE(float)
QING_INSTANTIATE(double)
#undef QING_INSTANTIATE

}  // namespace qing
