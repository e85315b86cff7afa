#include <qing/tensor/ops/convolve.h>

#include <algorithm>
#include <optional>

#include <qing/tensor/ops/direct_convolution.h>
#include <qing/tensor/ops/gemm.h>
#include <qing/tensor/ops/im2col.h>
#include <qing/tensor/ops/reduce.h>
#include <qing/tensor/ops/window_convolution.h>
#include <qing/tensor/tensor.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// The gradient of a small weight is summed in this many parts, over runs of images, so that threads can share it.
constexpr int64_t kWeightParts = 16;
constexpr int64_t kSmallWeight = 1 << 16;

// Runs body over 0..n: on all threads if each has work; otherwise in turn, where each call uses all threads.
template <class Body> void over(int64_t n, const Body& body) {
  if (n >= num_threads()) {
    parallel_for(n, 1, body);
  } else if (n > 0) {
    body(0, n);
  }
}

// The number of rows of windows that become columns at a time.
int64_t rows_at_a_time(const Convolution& c) {
  return std::clamp<int64_t>(kColumnElements / std::max<int64_t>(1, c.depth() * c.w.out), 1, c.h.out);
}

bool pointwise(const Window& w) { return w.kernel == 1 && w.stride == 1 && w.padding == 0 && w.in == w.out; }
bool pointwise(const Convolution& c) { return pointwise(c.h) && pointwise(c.w); }

// The matrix of columns for some rows of windows: the image itself if a window is one pixel, else a copy.
template <class T> class Columns {
 public:
  explicit Columns(const Convolution& c) : c_(c), direct_(pointwise(c)) {
    if (!direct_) memory_ = Tensor::empty({c.depth() * rows_at_a_time(c) * c.w.out}, dtype_of<T>);
  }
  bool direct() const { return direct_; }
  T* memory() const { return memory_.data<T>(); }
  int64_t leading(int64_t rows) const { return direct_ ? c_.in_pixels() : rows * c_.w.out; }

  const T* of(const T* image, int64_t first, int64_t rows) const {
    if (direct_) return image + first * c_.w.in;
    im2col(c_.h, c_.w, c_.group_channels(), image, first, rows, memory());
    return memory();
  }

 private:
  const Convolution& c_;
  bool direct_;
  Tensor memory_;
};

// Where group g of image n begins.
template <class T> T* input_of(const Convolution& c, T* x, int64_t n, int64_t g) {
  return x + (n * c.channels + g * c.group_channels()) * c.in_pixels();
}
template <class T> T* output_of(const Convolution& c, T* y, int64_t n, int64_t g) {
  return y + (n * c.filters + g * c.group_filters()) * c.out_pixels();
}

template <class T> void fill_bias(const Convolution& c, const T* bias, int64_t pixels, T* y) {
  for (int64_t f = 0; f < c.group_filters(); ++f) { std::fill_n(y + f * c.out_pixels(), pixels, bias[f]); }
}

// The three operations for groups of few filters. One image and one group are a task. If there are fewer tasks than
// threads, a task's filters are split; each part loads the image itself.
template <class T> void convolve_direct(const Convolution& c, const T* x, const T* weight, const T* bias, T* y) {
  const int64_t filters = c.group_filters(), depth = c.depth(), tasks = c.images * c.groups;
  if (tasks == 0 || filters == 0) return;
  const int64_t parts = std::clamp<int64_t>((num_threads() + tasks - 1) / tasks, 1, filters);
  parallel_for(tasks * parts, 1, [&](int64_t begin, int64_t end) {
    DirectConvolution<T> direct(c);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t n = task / parts / c.groups, g = task / parts % c.groups, part = task % parts;
      direct.load(input_of(c, x, n, g));
      for (int64_t f = filters * part / parts; f < filters * (part + 1) / parts; ++f) {
        const int64_t filter = g * filters + f;
        direct.apply(weight + filter * depth, bias != nullptr ? bias + filter : nullptr,
                     output_of(c, y, n, g) + f * c.out_pixels());
      }
    }
  });
}

template <class T> void convolve_transposed_direct(const Convolution& c, const T* weight, const T* dy, T* dx) {
  const int64_t filters = c.group_filters(), depth = c.depth();
  over(c.images * c.groups, [&](int64_t begin, int64_t end) {
    DirectConvolution<T> direct(c);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t n = task / c.groups, g = task % c.groups;
      direct.clear();
      for (int64_t f = 0; f < filters; ++f) {
        direct.add_transposed(weight + (g * filters + f) * depth, output_of(c, dy, n, g) + f * c.out_pixels());
      }
      direct.store(input_of(c, dx, n, g));
    }
  });
}

// Adds the contribution of images first to last of group g to `sums`, the weight's gradient.
template <class T>
void add_weight_direct(const Convolution& c, DirectConvolution<T>& direct, int64_t g, int64_t first, int64_t last,
                       const T* x, const T* dy, T* sums) {
  for (int64_t n = first; n < last; ++n) {
    direct.load(input_of(c, x, n, g));
    for (int64_t f = 0; f < c.group_filters(); ++f) {
      direct.add_filter(output_of(c, dy, n, g) + f * c.out_pixels(), sums + (g * c.group_filters() + f) * c.depth());
    }
  }
}

}  // namespace

template <class T> void convolve(const Convolution& c, const T* x, const T* weight, const T* bias, T* y) {
  if (prefers_direct(c)) return convolve_direct(c, x, weight, bias, y);
  if (!pointwise(c) && prefers_windows<T>(c)) return convolve_windows(c, x, weight, bias, y);
  const int64_t step = rows_at_a_time(c), chunks = (c.h.out + step - 1) / step;
  const int64_t filters = c.group_filters(), depth = c.depth();
  over(c.images * c.groups * chunks, [&](int64_t begin, int64_t end) {
    const Columns<T> columns(c);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % chunks * step, rows = std::min(step, c.h.out - first);
      const int64_t n = task / chunks / c.groups, g = task / chunks % c.groups;
      T* out = output_of(c, y, n, g) + first * c.w.out;
      if (bias != nullptr) fill_bias(c, bias + g * filters, rows * c.w.out, out);
      gemm<T>(Trans::no, Trans::no, filters, rows * c.w.out, depth, weight + g * filters * depth, depth,
              columns.of(input_of(c, x, n, g), first, rows), columns.leading(rows), out, c.out_pixels(), nullptr,
              bias != nullptr);
    }
  });
}

template <class T>
void convolve_transposed(const Convolution& c, const T* weight, const T* dy, T* dx, bool accumulate) {
  if (!prefers_direct(c) && !pointwise(c) && prefers_transposed_windows<T>(c)) {
    return transposed_windows(c, weight, dy, dx, accumulate);
  }
  if (!accumulate) std::fill_n(dx, c.images * c.channels * c.in_pixels(), T(0));
  if (prefers_direct(c)) return convolve_transposed_direct(c, weight, dy, dx);
  const int64_t step = rows_at_a_time(c), filters = c.group_filters(), depth = c.depth();
  // Windows of neighbouring rows overlap, so an image's rows are processed in order.
  over(c.images * c.groups, [&](int64_t begin, int64_t end) {
    const Columns<T> columns(c);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t n = task / c.groups, g = task % c.groups;
      T* image = input_of(c, dx, n, g);
      for (int64_t first = 0; first < c.h.out; first += step) {
        const int64_t rows = std::min(step, c.h.out - first);
        T* product = columns.direct() ? image + first * c.w.in : columns.memory();
        gemm<T>(Trans::yes, Trans::no, depth, rows * c.w.out, filters, weight + g * filters * depth, depth,
                output_of(c, dy, n, g) + first * c.w.out, c.out_pixels(), product, columns.leading(rows), nullptr,
                columns.direct());
        if (!columns.direct()) col2im(c.h, c.w, c.group_channels(), product, first, rows, image);
      }
    }
  });
}

template <class T> void convolve_weight(const Convolution& c, const T* x, const T* dy, T* dweight, bool accumulate) {
  if (!prefers_direct(c) && prefers_windows<T>(c)) return weight_windows(c, x, dy, dweight, accumulate);
  const int64_t step = rows_at_a_time(c), filters = c.group_filters(), depth = c.depth();
  const int64_t size = c.filters * depth;
  const int64_t wanted = size > kSmallWeight ? 1 : std::clamp<int64_t>(c.images, 1, kWeightParts);
  const int64_t images = std::max<int64_t>(1, (c.images + wanted - 1) / wanted);
  const int64_t parts = std::max<int64_t>(1, (c.images + images - 1) / images);
  Tensor partial;
  if (parts > 1) partial = Tensor::zeros({parts, size}, dtype_of<T>);
  T* sums = parts > 1 ? partial.data<T>() : dweight;
  if (parts == 1 && !accumulate) std::fill(dweight, dweight + size, T(0));
  over(parts * c.groups, [&](int64_t begin, int64_t end) {
    std::optional<DirectConvolution<T>> direct;
    std::optional<Columns<T>> columns;
    if (prefers_direct(c)) direct.emplace(c);
    if (!direct) columns.emplace(c);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t part = task / c.groups, g = task % c.groups, last = std::min(c.images, (part + 1) * images);
      if (direct) {
        add_weight_direct(c, *direct, g, part * images, last, x, dy, sums + part * size);
        continue;
      }
      for (int64_t n = part * images; n < last; ++n) {
        for (int64_t first = 0; first < c.h.out; first += step) {
          const int64_t rows = std::min(step, c.h.out - first);
          gemm<T>(Trans::no, Trans::yes, filters, depth, rows * c.w.out, output_of(c, dy, n, g) + first * c.w.out,
                  c.out_pixels(), columns->of(input_of(c, x, n, g), first, rows), columns->leading(rows),
                  sums + part * size + g * filters * depth, depth, nullptr, true);
        }
      }
    }
  });
  if (parts > 1) sum_rows(parts, size, sums, size, dweight, accumulate);
}

#define QING_INSTANTIATE(T)                                                               \
  template void convolve<T>(const Convolution&, const T*, const T*, const T*, T*);        \
  template void convolve_transposed<T>(const Convolution&, const T*, const T*, T*, bool); \
  template void convolve_weight<T>(const Convolution&, const T*, const T*, T*, bool);
QING_INSTANTIATE(float)
QING_INSTANTIATE(double)
#undef QING_INSTANTIATE

}  // namespace qing
