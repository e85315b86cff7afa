// Norms of channels: over the batch, over groups of channels, over single channels.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/activations.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/gradient_checkpoint.h>
#include <qing/autograd/ops/normalization.h>
#include <qing/autograd/ops/normalization_detail.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/compare.h>

namespace qing {
namespace {

// x as [images, channels, pixels].
struct Channels {
  int64_t images, channels, pixels;

  explicit Channels(const Tensor& x) : images(x.size(0)), channels(x.size(1)), pixels(1) {
    for (int64_t d = 2; d < x.dim(); ++d) pixels *= x.size(d);
  }
  int64_t count() const { return images * pixels; }
  kernels::ChannelRuns runs() const { return {images, pixels, channels * pixels}; }
  template <class Body> void each(const Body& body) const {
    const int64_t grain = std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, count()));
    parallel_for(channels, grain, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) body(c);
    });
  }
};

void check_channels(const Tensor& x, std::initializer_list<Tensor> per_channel, const char* op) {
  bool fits = x.dim() >= 2 && x.size(1) >= 1;
  for (const Tensor& t : per_channel) {
    if (!t.defined()) continue;
    check_same_dtype(x, t, op);
    fits = fits && t.shape() == Shape{x.size(1)};
  }
  if (fits) return;
  std::string shapes;
  for (const Tensor& t : per_channel) {
    if (t.defined()) shapes += ", " + to_string(t.shape());
  }
  throw ShapeError(fmt::format("{}: x {}{} do not fit; needs [batch, channels, ...] and [channels] for the others", op,
                               to_string(x.shape()), shapes));
}

// [channels] in a shape that broadcasts to x.
Tensor along_channels(const Tensor& v, const Tensor& x) {
  Shape shape(static_cast<size_t>(x.dim() - 1), 1);
  shape[0] = v.size(0);
  return v.reshape(shape);
}

Tensor affine(Tensor y, const Tensor& weight, const Tensor& bias) {
  if (weight.defined()) y = mul(y, along_channels(weight, y));
  if (bias.defined()) y = add(y, along_channels(bias, y));
  return y;
}

// The statistics of every channel. Elements are normalised as (x − mean)·rstd + shift; shift corrects for the rounding
// of the mean. The variance is biased.
struct Statistics {
  Tensor mean, rstd, shift, variance;  // [channels]
};

// Those of channel c.
template <class T>
void find_statistics(const Tensor& x, const Channels& s, int64_t c, double eps, const Statistics& stats) {
  const auto& table = kernels::kernels<T>();
  const T* in = x.data<T>() + c * s.pixels;
  const auto count = static_cast<double>(s.count());
  // Deviations from the first element: those of equal elements are 0, and their squares do not cancel.
  double sums[2];
  table.channel_moments(s.runs(), in, in[0], sums);
  double mean = static_cast<double>(in[0]) + sums[0] / count;
  double rest = 0;  // the rounding error of the mean
  double squares = sums[1] - sums[0] * (sums[0] / count);
  if constexpr (sizeof(T) == 8) {
    // A mean in double is rounded, and so are the deviations from the first element.
    table.channel_moments(s.runs(), in, mean, sums);
    mean += sums[0] / count;
    table.channel_moments(s.runs(), in, mean, sums);
    rest = sums[0] / count;
    squares = sums[1] - rest * rest * count;
  }
  const double variance = std::max(squares / count, 0.0);
  stats.mean.data<T>()[c] = static_cast<T>(mean);
  stats.variance.data<T>()[c] = static_cast<T>(variance);
  const double rstd = 1 / std::sqrt(variance + eps);
  stats.rstd.data<T>()[c] = static_cast<T>(rstd);
  stats.shift.data<T>()[c] = static_cast<T>((static_cast<double>(static_cast<T>(mean)) - mean - rest) * rstd);
}

// running = (1−momentum)·running + momentum·factor·batch
void update_running(const Tensor& running, const Tensor& batch, double momentum, double factor) {
  if (!running.defined() || recomputing()) return;
  Tensor target = running.alias();
  dispatch_floating(batch.dtype(), "batch_norm", [&](auto zero) {
    using T = decltype(zero);
    Tensor next = target.clone();
    for (int64_t c = 0; c < next.numel(); ++c) {
      T& value = next.data<T>()[c];
      value = static_cast<T>((1 - momentum) * value + momentum * factor * batch.data<T>()[c]);
    }
    target.copy_from(next);
  });
}

// A norm with what follows it in the same pass: y = relu(norm + residual), each if it is there.
struct Following {
  Tensor residual;
  bool relu;
};

// The gradient of the norm's result, in differentiable operations.
Tensor upstream_of(const Tensor& dy, const Tensor& y, bool relu) {
  return relu ? mul(dy, gt(y, 0).to(dy.dtype())) : dy;
}

void batch_norm_graph(const Tensor& dy, const Tensor& x, const Tensor& weight, double eps, GradSink& grad) {
  std::vector<int64_t> dims{0};
  for (int64_t d = 2; d < x.dim(); ++d) dims.push_back(d);
  const auto to_channels = [&](const Tensor& v) { return sum(v, dims); };
  const Standardized standard = standardize(x, dims, eps, true);
  if (grad.needs(0)) grad.add(0, standardize_backward(mul(dy, along_channels(weight, x)), standard, dims, true));
  if (grad.needs(1)) grad.add(1, to_channels(mul(dy, standard.normal)));
  if (grad.needs(2)) grad.add(2, to_channels(dy));
  if (grad.needs(3)) grad.add(3, dy);
}

// With x̂ = (x−mean)·rstd + shift and g = dy where relu let it pass: dx = weight·rstd·(g − mean(g) − x̂·mean(g·x̂)).
// `y` is undefined without relu.
template <class T>
void batch_norm_backward(const Tensor& upstream, const Tensor& input, const Tensor& weight, const Tensor& y,
                         const Statistics& stats, GradSink& grad) {
  const auto& table = kernels::kernels<T>();
  const Channels s(input);
  GradSink::Target targets[4]{};
  for (size_t i = 0; i < 4; ++i) {
    if (grad.needs(i)) targets[i] = grad.target(i);
  }
  const auto put = [&](size_t i, int64_t at, double value) {
    if (!targets[i].tensor.defined()) return;
    T& to = targets[i].tensor.data<T>()[at];
    to = targets[i].accumulate ? to + static_cast<T>(value) : static_cast<T>(value);
  };
  const auto start = [&](const Tensor& t, int64_t c) { return t.defined() ? t.data<T>() + c * s.pixels : nullptr; };
  s.each([&](int64_t c) {
    const T mean = stats.mean.data<T>()[c];
    const auto rstd = static_cast<double>(stats.rstd.data<T>()[c]),
               shift = static_cast<double>(stats.shift.data<T>()[c]);
    double sums[2];
    table.channel_gradient_sums(s.runs(), start(input, c), start(upstream, c), start(y, c), mean, sums);
    const double total = sums[0], along = sums[1] * rstd + total * shift;
    put(1, c, along);
    put(2, c, total);
    if (!targets[0].tensor.defined() && !targets[3].tensor.defined()) return;
    const double factor = static_cast<double>(weight.data<T>()[c]) * rstd, n = static_cast<double>(s.count());
    table.channel_gradient(s.runs(), {.x = start(input, c),
                                      .dy = start(upstream, c),
                                      .y = start(y, c),
                                      .mean = mean,
                                      .rstd = stats.rstd.data<T>()[c],
                                      .shift = stats.shift.data<T>()[c],
                                      .factor = static_cast<T>(factor),
                                      .mean_g = static_cast<T>(total / n),
                                      .mean_along = static_cast<T>(along / n),
                                      .dx = start(targets[0].tensor, c),
                                      .dresidual = start(targets[3].tensor, c),
                                      .add_dx = targets[0].accumulate,
                                      .add_dresidual = targets[3].accumulate});
  });
}

Tensor batch_norm_training(const Tensor& input, const Tensor& running_mean, const Tensor& running_var,
                           const Tensor& weight, const Tensor& bias, double momentum, double eps,
                           const Following& following) {
  const Tensor x = input.alias().contiguous();
  const Tensor residual = following.residual.defined() ? following.residual.alias().contiguous() : Tensor();
  const Channels s(x);
  if (s.count() < 2) {
    throw ValueError(fmt::format("batch_norm: x {} has {} values per channel; training needs at least 2",
                                 to_string(x.shape()), s.count()));
  }
  const Shape shape{s.channels};
  const auto per_channel = [&] { return Tensor::empty(shape, x.dtype()); };
  const Statistics stats{per_channel(), per_channel(), per_channel(), per_channel()};
  const Tensor gamma = weight_or(weight, shape, 1, x.dtype()), beta = weight_or(bias, shape, 0, x.dtype());
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  dispatch_floating(x.dtype(), "batch_norm", [&](auto zero) {
    using T = decltype(zero);
    // The second pass over a channel finds it in the caches.
    s.each([&](int64_t c) {
      find_statistics<T>(x, s, c, eps, stats);
      const T factor = stats.rstd.data<T>()[c] * gamma.data<T>()[c];
      const T shift = stats.shift.data<T>()[c] * gamma.data<T>()[c] + beta.data<T>()[c];
      kernels::kernels<T>().channel_affine(s.runs(), x.data<T>() + c * s.pixels, stats.mean.data<T>()[c], factor, shift,
                                           residual.defined() ? residual.data<T>() + c * s.pixels : nullptr,
                                           following.relu, y.data<T>() + c * s.pixels);
    });
  });
  const auto n = static_cast<double>(s.count());
  update_running(running_mean, stats.mean, momentum, 1);
  update_running(running_var, stats.variance, momentum, n / (n - 1));
  if (recording({input, weight, bias, following.residual})) {
    record("batch_norm", y, {input, weight, bias, following.residual},
           [eps, stats, x = Saved(x), gamma = Saved(gamma), result = Saved(following.relu ? y : x),
            relu = following.relu](const Tensor& dy, GradSink& grad) {
             if (grad.create_graph()) {
               return batch_norm_graph(upstream_of(dy, result.get(grad), relu), grad.input(0, x), grad.input(1, gamma),
                                       eps, grad);
             }
             dispatch_floating(dy.dtype(), "batch_norm", [&](auto zero) {
               batch_norm_backward<decltype(zero)>(dy, x.get(grad), gamma.get(grad), relu ? result.get(grad) : Tensor(),
                                                   stats, grad);
             });
           });
  }
  return y;
}

}  // namespace

namespace {

Tensor norm_of_batch(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                     const Tensor& bias, bool training, double momentum, double eps, const Following& following) {
  check_channels(x, {running_mean, running_var, weight, bias}, "batch_norm");
  check_floating(x, "batch_norm");
  if (training) { return batch_norm_training(x, running_mean, running_var, weight, bias, momentum, eps, following); }
  if (!running_mean.defined() || !running_var.defined()) {
    throw ValueError("batch_norm: without training it needs running_mean and running_var");
  }
  // x·factor + shift; both are computed once per channel.
  const Tensor deviation = sqrt(add(running_var, Tensor::full({}, eps, x.dtype())));
  const Tensor factor = div(weight.defined() ? weight : Tensor::full({}, 1, x.dtype()), deviation);
  const Tensor moved = mul(running_mean, factor);
  Tensor y = affine(x, factor, bias.defined() ? sub(bias, moved) : neg(moved));
  if (following.residual.defined()) y = add(y, following.residual);
  return following.relu ? relu(y) : y;
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                  const Tensor& bias, bool training, double momentum, double eps) {
  return norm_of_batch(x, running_mean, running_var, weight, bias, training, momentum, eps, {{}, false});
}

Tensor batch_norm_relu(const Tensor& x, const Tensor& residual, const Tensor& running_mean, const Tensor& running_var,
                       const Tensor& weight, const Tensor& bias, bool training, double momentum, double eps) {
  if (residual.defined()) {
    check_same_dtype(x, residual, "batch_norm_relu");
    if (residual.shape() != x.shape()) {
      throw ShapeError(fmt::format("batch_norm_relu: x {} and the residual {} differ", to_string(x.shape()),
                                   to_string(residual.shape())));
    }
  }
  return norm_of_batch(x, running_mean, running_var, weight, bias, training, momentum, eps, {residual, true});
}

Tensor group_norm(const Tensor& x, int64_t num_groups, const Tensor& weight, const Tensor& bias, double eps) {
  check_channels(x, {weight, bias}, "group_norm");
  const Channels s(x);
  if (num_groups < 1 || s.channels % num_groups != 0) {
    throw ValueError(fmt::format("group_norm: num_groups {} does not divide {} channels", num_groups, s.channels));
  }
  const int64_t width = s.channels / num_groups * s.pixels;
  if (width == 0) throw ShapeError(fmt::format("group_norm: nothing to normalise in shape {}", to_string(x.shape())));
  const Tensor rows = layer_norm(x.reshape({s.images * num_groups, width}), Shape{width}, {}, {}, eps);
  return affine(rows.reshape(x.shape()), weight, bias);
}

Tensor instance_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  return instance_norm(x, {}, {}, weight, bias, true, 0, eps);
}

Tensor instance_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                     const Tensor& bias, bool use_input_stats, double momentum, double eps) {
  check_channels(x, {running_mean, running_var, weight, bias}, "instance_norm");
  const Channels s(x);
  if (!use_input_stats) {
    if (!running_mean.defined() || !running_var.defined()) {
      throw ValueError("instance_norm: without the input's statistics it needs running_mean and running_var");
    }
    return batch_norm(x, running_mean, running_var, weight, bias, false, momentum, eps);
  }
  if (s.pixels < 2) {
    throw ValueError(
        fmt::format("instance_norm: x {} has {} values per channel; needs at least 2", to_string(x.shape()), s.pixels));
  }
  if (s.images > 0 && (running_mean.defined() || running_var.defined())) {
    const Tensor rows = x.alias().reshape({s.images, s.channels, s.pixels});
    update_running(running_mean, mean(rows, {0, 2}), momentum, 1);
    update_running(running_var, mean(var(rows, {2}), {0}), momentum, 1);
  }
  return group_norm(x, s.channels, weight, bias, eps);
}

}  // namespace qing
