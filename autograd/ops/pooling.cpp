// Averaging windows is linear. So is gathering elements by index, which a maximum does once the indices are known. Each
// of the two has a transpose here, and is the gradient of its transpose.
#include <qing/autograd/ops/pooling.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/window.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr int64_t kLargestWindowOption = 1 << 28;
// The number of elements of planes that are worth a thread.
constexpr int64_t kGrain = 1 << 14;

// The elements of a window in one dimension: first, first + step, ... before last. `count` is its size in the divisor
// of a mean.
struct Reach {
  int64_t first, last, step, count;
};
struct Axis {
  int64_t in;
  std::vector<Reach> windows;

  int64_t out() const { return static_cast<int64_t>(windows.size()); }
};
struct Plane {
  Axis h, w;
  int64_t divisor = 0;  // of the mean, unless 0

  int64_t in_size() const { return h.in * w.in; }
  int64_t out_size() const { return h.out() * w.out(); }
};

Shape with_plane(const Shape& like, int64_t height, int64_t width) {
  Shape shape = like;
  shape[shape.size() - 2] = height;
  shape[shape.size() - 1] = width;
  return shape;
}

// Calls body(plane) for every plane of x. A plane joins the last two dimensions.
template <class Body> void over_planes(const Tensor& x, const Body& body) {
  const int64_t size = x.size(-2) * x.size(-1), planes = size == 0 ? 0 : x.numel() / size;
  parallel_for(planes, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, size)), [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) body(p);
  });
}

// Calls body(index of the result, window of h, window of w), in row-major order.
template <class Body> void over_windows(const Plane& plane, const Body& body) {
  int64_t i = 0;
  for (const Reach& h : plane.h.windows) {
    for (const Reach& w : plane.w.windows) body(i++, h, w);
  }
}

// The divisor of the sum of a window. The mean is computed in double and rounded once.
double divisor_of(const Plane& plane, const Reach& h, const Reach& w) {
  return static_cast<double>(plane.divisor != 0 ? plane.divisor : h.count * w.count);
}

// --- means ---

Tensor spread(OpName op, const Plane& plane, const Tensor& dy);

Tensor average(OpName op, const Plane& plane, const Tensor& input) {
  const Tensor x = input.alias().contiguous();
  Tensor y = Tensor::empty(with_plane(x.shape(), plane.h.out(), plane.w.out()), x.dtype());
  dispatch_floating(x.dtype(), op.c_str(), [&](auto zero) {
    using T = decltype(zero);
    over_planes(x, [&](int64_t p) {
      const T* in = x.data<T>() + p * plane.in_size();
      T* out = y.data<T>() + p * plane.out_size();
      over_windows(plane, [&](int64_t i, const Reach& h, const Reach& w) {
        double sum = 0;
        for (int64_t r = h.first; r < h.last; ++r) {
          for (int64_t c = w.first; c < w.last; ++c) sum += static_cast<double>(in[r * plane.w.in + c]);
        }
        out[i] = static_cast<T>(sum / divisor_of(plane, h, w));
      });
    });
  });
  if (recording({input})) {
    record(op, y, {input}, [op, plane](const Tensor& dy, GradSink& grad) { grad.add(0, spread(op, plane, dy)); });
  }
  return y;
}

Tensor spread(OpName op, const Plane& plane, const Tensor& upstream) {
  const Tensor dy = upstream.alias().contiguous();
  Tensor dx = Tensor::zeros(with_plane(dy.shape(), plane.h.in, plane.w.in), dy.dtype());
  dispatch_floating(dy.dtype(), op.c_str(), [&](auto zero) {
    using T = decltype(zero);
    over_planes(dy, [&](int64_t p) {
      const T* from = dy.data<T>() + p * plane.out_size();
      T* to = dx.data<T>() + p * plane.in_size();
      over_windows(plane, [&](int64_t i, const Reach& h, const Reach& w) {
        const T part = from[i] / static_cast<T>(divisor_of(plane, h, w));
        for (int64_t r = h.first; r < h.last; ++r) {
          for (int64_t c = w.first; c < w.last; ++c) to[r * plane.w.in + c] += part;
        }
      });
    });
  });
  if (recording({upstream})) {
    record(op, dx, {upstream},
           [op, plane](const Tensor& ddx, GradSink& grad) { grad.add(0, average(op, plane, ddx)); });
  }
  return dx;
}

// --- elements by index ---

// For each element of a result, the index of its element in the plane. `shared`: the same indices for all planes.
struct PlaneGather {
  Tensor indices;
  bool shared = false;
  Shape from, to;

  const int64_t* of(int64_t plane) const {
    return indices.data<int64_t>() + (shared ? 0 : plane * to[to.size() - 2] * to.back());
  }
  int64_t from_size() const { return from[from.size() - 2] * from.back(); }
  int64_t to_size() const { return to[to.size() - 2] * to.back(); }
};

Tensor scatter_to_planes(OpName op, const PlaneGather& gather, const Tensor& dy);

Tensor gather_from_planes(OpName op, const PlaneGather& gather, const Tensor& input) {
  const Tensor x = input.alias().contiguous();
  Tensor y = Tensor::empty(gather.to, x.dtype());
  dispatch_floating(x.dtype(), op.c_str(), [&](auto zero) {
    using T = decltype(zero);
    over_planes(y, [&](int64_t p) {
      const int64_t* index = gather.of(p);
      for (int64_t i = 0; i < gather.to_size(); ++i) {
        y.data<T>()[p * gather.to_size() + i] = x.data<T>()[p * gather.from_size() + index[i]];
      }
    });
  });
  if (recording({input})) {
    record(op, y, {input},
           [op, gather](const Tensor& dy, GradSink& grad) { grad.add(0, scatter_to_planes(op, gather, dy)); });
  }
  return y;
}

Tensor scatter_to_planes(OpName op, const PlaneGather& gather, const Tensor& upstream) {
  const Tensor dy = upstream.alias().contiguous();
  Tensor dx = Tensor::zeros(gather.from, dy.dtype());
  dispatch_floating(dy.dtype(), op.c_str(), [&](auto zero) {
    using T = decltype(zero);
    over_planes(dy, [&](int64_t p) {
      const int64_t* index = gather.of(p);
      for (int64_t i = 0; i < gather.to_size(); ++i) {
        dx.data<T>()[p * gather.from_size() + index[i]] += dy.data<T>()[p * gather.to_size() + i];
      }
    });
  });
  if (recording({upstream})) {
    record(op, dx, {upstream},
           [op, gather](const Tensor& ddx, GradSink& grad) { grad.add(0, gather_from_planes(op, gather, ddx)); });
  }
  return dx;
}

// The index of the first largest element of each window.
Tensor largest(const Plane& plane, const Tensor& input, const char* op) {
  const Tensor x = input.alias().contiguous();
  Tensor indices = Tensor::empty(with_plane(x.shape(), plane.h.out(), plane.w.out()), DType::i64);
  dispatch_floating(x.dtype(), op, [&](auto zero) {
    using T = decltype(zero);
    over_planes(x, [&](int64_t p) {
      const T* in = x.data<T>() + p * plane.in_size();
      int64_t* out = indices.data<int64_t>() + p * plane.out_size();
      over_windows(plane, [&](int64_t i, const Reach& h, const Reach& w) {
        int64_t best = h.first * plane.w.in + w.first;
        for (int64_t r = h.first; r < h.last; r += h.step) {
          for (int64_t c = w.first; c < w.last; c += w.step) {
            const int64_t at = r * plane.w.in + c;
            if (in[at] > in[best] || (std::isnan(in[at]) && !std::isnan(in[best]))) best = at;
          }
        }
        out[i] = best;
      });
    });
  });
  return indices;
}

Pooled max_pool(OpName op, const Plane& plane, const Tensor& x) {
  const Tensor indices = largest(plane, x, op.c_str());
  return {gather_from_planes(op, {indices, false, x.shape(), indices.shape()}, x), indices};
}

// --- windows ---

struct AxisOptions {
  int64_t kernel, stride, padding, dilation;
};

// The number of windows, counted as in PyTorch.
int64_t count_windows(int64_t in, const AxisOptions& o, bool ceil_mode, const char* op) {
  const auto check = [op](int64_t value, int64_t least, const char* what) {
    if (value >= least && value <= kLargestWindowOption) return;
    throw ValueError(fmt::format("{}: {} {} is outside [{}, {}]", op, what, value, least, kLargestWindowOption));
  };
  check(o.kernel, 1, "kernel_size");
  check(o.stride, 1, "stride");
  check(o.padding, 0, "padding");
  check(o.dilation, 1, "dilation");
  const int64_t reach = o.dilation * (o.kernel - 1) + 1;
  if (2 * o.padding > reach) {
    throw ValueError(fmt::format("{}: padding {} is more than half of a window that reaches over {} elements", op,
                                 o.padding, reach));
  }
  const int64_t room = in + 2 * o.padding - reach + (ceil_mode ? o.stride - 1 : 0);
  if (in < 1 || room < 0) {
    throw ShapeError(
        fmt::format("{}: a window over {} elements does not fit into {} with padding {}", op, reach, in, o.padding));
  }
  const int64_t windows = room / o.stride + 1;
  // The last window must begin within the elements or the padding before them.
  return ceil_mode && (windows - 1) * o.stride >= in + o.padding ? windows - 1 : windows;
}

Axis max_axis(int64_t in, const AxisOptions& o, bool ceil_mode, const char* op) {
  Axis axis{in, {}};
  const int64_t windows = count_windows(in, o, ceil_mode, op);
  for (int64_t i = 0; i < windows; ++i) {
    const int64_t start = i * o.stride - o.padding;
    const int64_t skipped = start < 0 ? (-start + o.dilation - 1) / o.dilation : 0;
    const Reach reach{start + skipped * o.dilation, std::min(in, start + o.dilation * (o.kernel - 1) + 1), o.dilation,
                      0};
    if (reach.first >= reach.last) {
      throw ShapeError(fmt::format("{}: window {} over {} elements sees only padding", op, i, in));
    }
    axis.windows.push_back(reach);
  }
  return axis;
}

Axis average_axis(int64_t in, const AxisOptions& o, bool ceil_mode, bool count_padding, const char* op) {
  Axis axis{in, {}};
  const int64_t windows = count_windows(in, o, ceil_mode, op);
  for (int64_t i = 0; i < windows; ++i) {
    const int64_t start = i * o.stride - o.padding, end = std::min(start + o.kernel, in + o.padding);
    const int64_t first = std::max<int64_t>(start, 0), last = std::min(end, in);
    axis.windows.push_back({first, last, 1, count_padding ? end - start : last - first});
  }
  return axis;
}

Axis adaptive_axis(int64_t in, int64_t out, const char* op) {
  if (out < 0 || out > kLargestWindowOption) {
    throw ValueError(fmt::format("{}: output_size {} is outside [0, {}]", op, out, kLargestWindowOption));
  }
  if (in < 1) throw ShapeError(fmt::format("{}: no elements to pool", op));
  Axis axis{in, {}};
  for (int64_t i = 0; i < out; ++i) {
    // ⌊i·in/out⌋ without overflow.
    const auto at = [in, out](int64_t k) { return in / out * k + in % out * k / out; };
    const int64_t first = at(i), last = at(i + 1) + (in % out * (i + 1) % out != 0 ? 1 : 0);
    axis.windows.push_back({first, last, 1, last - first});
  }
  return axis;
}

void check_planes(const Tensor& x, int64_t dims, const char* op) {
  if (x.dim() == dims + 1 || x.dim() == dims + 2) return;
  throw ShapeError(fmt::format("{}: x has {} dimensions, or {} with a batch; got shape {}", op, dims + 1, dims + 2,
                               to_string(x.shape())));
}

Size2d or_kernel(Size2d stride, Size2d kernel) {
  return {stride.h == 0 ? kernel.h : stride.h, stride.w == 0 ? kernel.w : stride.w};
}

Pooled max_pool_windows(const Tensor& x, Size2d kernel, const MaxPool2dOptions& o, const char* op) {
  const Size2d stride = or_kernel(o.stride, kernel);
  const Plane plane{max_axis(x.size(-2), {kernel.h, stride.h, o.padding.h, o.dilation.h}, o.ceil_mode, op),
                    max_axis(x.size(-1), {kernel.w, stride.w, o.padding.w, o.dilation.w}, o.ceil_mode, op)};
  return max_pool("max_pool2d", plane, x);
}

Tensor avg_pool_windows(const Tensor& x, Size2d kernel, const AvgPool2dOptions& o, const char* op) {
  const Size2d stride = or_kernel(o.stride, kernel);
  const auto axis = [&](int64_t in, const AxisOptions& options) {
    return average_axis(in, options, o.ceil_mode, o.count_include_pad, op);
  };
  if (o.divisor_override < 0) {
    throw ValueError(fmt::format("{}: divisor_override {} is negative", op, o.divisor_override));
  }
  const Plane plane{axis(x.size(-2), {kernel.h, stride.h, o.padding.h, 1}),
                    axis(x.size(-1), {kernel.w, stride.w, o.padding.w, 1}), o.divisor_override};
  return average("avg_pool2d", plane, x);
}

Plane adaptive_plane(const Tensor& x, Size2d size, const char* op) {
  return {adaptive_axis(x.size(-2), size.h, op), adaptive_axis(x.size(-1), size.w, op)};
}

}  // namespace

Pooled max_pool2d_with_indices(const Tensor& x, Size2d kernel_size, const MaxPool2dOptions& options) {
  check_planes(x, 2, "max_pool2d");
  return max_pool_windows(x, kernel_size, options, "max_pool2d");
}

Tensor max_pool2d(const Tensor& x, Size2d kernel_size, const MaxPool2dOptions& options) {
  return max_pool2d_with_indices(x, kernel_size, options).values;
}

Pooled max_pool1d_with_indices(const Tensor& x, int64_t kernel_size, const MaxPool1dOptions& options) {
  check_planes(x, 1, "max_pool1d");
  check_floating(x, "max_pool1d");
  const MaxPool2dOptions flat{.stride = {1, options.stride},
                              .padding = {0, options.padding},
                              .dilation = {1, options.dilation},
                              .ceil_mode = options.ceil_mode};
  const Pooled pooled = max_pool_windows(x.unsqueeze(-2), {1, kernel_size}, flat, "max_pool1d");
  return {pooled.values.squeeze(-2), pooled.indices.squeeze(-2)};
}

Tensor max_pool1d(const Tensor& x, int64_t kernel_size, const MaxPool1dOptions& options) {
  return max_pool1d_with_indices(x, kernel_size, options).values;
}

Tensor avg_pool2d(const Tensor& x, Size2d kernel_size, const AvgPool2dOptions& options) {
  check_planes(x, 2, "avg_pool2d");
  return avg_pool_windows(x, kernel_size, options, "avg_pool2d");
}

Tensor avg_pool1d(const Tensor& x, int64_t kernel_size, const AvgPool1dOptions& options) {
  check_planes(x, 1, "avg_pool1d");
  check_floating(x, "avg_pool1d");
  const AvgPool2dOptions flat{.stride = {1, options.stride},
                              .padding = {0, options.padding},
                              .ceil_mode = options.ceil_mode,
                              .count_include_pad = options.count_include_pad};
  return avg_pool_windows(x.unsqueeze(-2), {1, kernel_size}, flat, "avg_pool1d").squeeze(-2);
}

Tensor adaptive_avg_pool2d(const Tensor& x, Size2d output_size) {
  check_planes(x, 2, "adaptive_avg_pool2d");
  return average("adaptive_avg_pool2d", adaptive_plane(x, output_size, "adaptive_avg_pool2d"), x);
}

Tensor adaptive_avg_pool1d(const Tensor& x, int64_t output_size) {
  check_planes(x, 1, "adaptive_avg_pool1d");
  check_floating(x, "adaptive_avg_pool1d");
  const Tensor flat = x.unsqueeze(-2);
  return average("adaptive_avg_pool2d", adaptive_plane(flat, {1, output_size}, "adaptive_avg_pool1d"), flat)
      .squeeze(-2);
}

Tensor adaptive_max_pool2d(const Tensor& x, Size2d output_size) {
  check_planes(x, 2, "adaptive_max_pool2d");
  return max_pool("adaptive_max_pool2d", adaptive_plane(x, output_size, "adaptive_max_pool2d"), x).values;
}

Tensor adaptive_max_pool1d(const Tensor& x, int64_t output_size) {
  check_planes(x, 1, "adaptive_max_pool1d");
  check_floating(x, "adaptive_max_pool1d");
  const Tensor flat = x.unsqueeze(-2);
  const Plane plane = adaptive_plane(flat, {1, output_size}, "adaptive_max_pool1d");
  return max_pool("adaptive_max_pool2d", plane, flat).values.squeeze(-2);
}

Tensor interpolate(const Tensor& x, Size2d size) {
  check_planes(x, 2, "interpolate");
  const Plane plane = adaptive_plane(x, size, "interpolate");
  Tensor indices = Tensor::empty({size.h, size.w}, DType::i64);
  over_windows(plane, [&](int64_t i, const Reach& h, const Reach& w) {
    indices.data<int64_t>()[i] = h.first * plane.w.in + w.first;
  });
  return gather_from_planes("interpolate", {indices, true, x.shape(), with_plane(x.shape(), size.h, size.w)}, x);
}

}  // namespace qing
