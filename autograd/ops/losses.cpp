// Losses of pairs of elements of x and target: f(x, t) and its two derivatives, fused with the reduction.
#include <qing/autograd/ops/losses.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/losses_detail.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>

namespace qing {

void check_reduction(Reduction reduction, int64_t count, const char* op) {
  if (reduction == Reduction::batchmean)
    throw ValueError(fmt::format("{}: only kl_div has the reduction batchmean", op));
  if (reduction == Reduction::mean && count == 0) throw ValueError(fmt::format("{}: no elements to average", op));
}

Tensor reduced(const Tensor& losses, Reduction reduction, const char* op) {
  check_reduction(reduction, losses.numel(), op);
  if (reduction == Reduction::none) return losses;
  return reduction == Reduction::mean ? mean(losses) : sum(losses);
}

namespace {

void check_pair(const Tensor& x, const Tensor& target, const char* op) {
  check_same_dtype(x, target, op);
  if (x.shape() == target.shape()) return;
  throw ShapeError(fmt::format("{}: x {} and target {} differ; expand one of them", op, to_string(x.shape()),
                               to_string(target.shape())));
}

// The divisor of the sum of losses.
double divisor_of(const Tensor& x, Reduction reduction, const char* op) {
  if (reduction == Reduction::batchmean) {
    if (x.dim() < 1 || x.size(0) == 0) {
      throw ValueError(fmt::format("{}: no rows to average in shape {}", op, to_string(x.shape())));
    }
    return static_cast<double>(x.size(0));
  }
  check_reduction(reduction, x.numel(), op);
  return reduction == Reduction::mean ? static_cast<double>(x.numel()) : 1;
}

// Σ f(i) in double, by chunks of a fixed size that are added in order.
template <class F> double sum_of(int64_t n, F f) {
  std::vector<double> partial(static_cast<size_t>((n + kElementGrain - 1) / kElementGrain), 0.0);
  parallel_for(n, kElementGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) partial[i / kElementGrain] += static_cast<double>(f(i));
  });
  double total = 0;
  for (const double value : partial) total += value;
  return total;
}

// A loss. value(x, t, c) gives it, by_x and by_t its derivatives. `slopes` gives the same derivatives as tensors, in
// differentiable operations on x and t (input 0: with respect to x, 1: to t). c is an element of `constant`, or 1 if
// that is undefined.
template <class Value, class ByX, class ByT, class Slopes>
Tensor pointwise(OpName op, const Tensor& input, const Tensor& target, const Tensor& constant, Reduction reduction,
                 Value value, ByX by_x, ByT by_t, Slopes slopes) {
  check_pair(input, target, op.c_str());
  const double divisor = divisor_of(input, reduction, op.c_str());
  const Tensor x = input.alias().contiguous(), t = target.alias().contiguous();
  Tensor y = Tensor::empty(reduction == Reduction::none ? x.shape() : Shape{}, x.dtype());
  dispatch_floating(x.dtype(), op.c_str(), [&](auto zero) {
    using T = decltype(zero);
    const T *a = x.data<T>(), *b = t.data<T>(), *c = constant.defined() ? constant.data<T>() : nullptr;
    T* out = y.data<T>();
    const auto at = [&](int64_t i) { return value(a[i], b[i], c == nullptr ? T(1) : c[i]); };
    if (reduction == Reduction::none) {
      parallel_for(x.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) out[i] = at(i);
      });
    } else {
      *out = static_cast<T>(sum_of(x.numel(), at) / divisor);
    }
  });
  if (!recording({input, target})) return y;
  record(
      op, y, {input, target},
      [x = Saved(x), t = Saved(t), constant, reduction, divisor, by_x, by_t, slopes](const Tensor& dy, GradSink& grad) {
        if (grad.create_graph()) {
          const Tensor upstream = reduction == Reduction::none ? dy : div(dy, divisor);
          for (size_t i = 0; i < 2; ++i) {
            if (grad.needs(i)) grad.add(i, mul(upstream, slopes(i, grad.input(0, x), grad.input(1, t))));
          }
          return;
        }
        dispatch_floating(dy.dtype(), grad.op(), [&](auto zero) {
          using T = decltype(zero);
          const T *a = x.get(grad).data<T>(), *b = t.get(grad).data<T>(), *upstream = dy.data<T>();
          const T* c = constant.defined() ? constant.data<T>() : nullptr;
          const auto spread = [&](size_t to, auto derivative) {
            if (!grad.needs(to)) return;
            const auto into = grad.target(to);
            T* out = into.tensor.data<T>();
            parallel_for(into.tensor.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
              for (int64_t i = begin; i < end; ++i) {
                const T factor = reduction == Reduction::none ? upstream[i] : static_cast<T>(*upstream / divisor);
                const T part = factor * derivative(a[i], b[i], c == nullptr ? T(1) : c[i]);
                out[i] = into.accumulate ? out[i] + part : part;
              }
            });
          };
          spread(0, by_x);
          spread(1, by_t);
        });
      });
  return y;
}

// A loss of d = x − t: value(d), its derivative, and the derivative as a tensor in differentiable operations on d.
template <class Value, class Slope, class Graph>
Tensor of_difference(OpName op, const Tensor& x, const Tensor& target, Reduction reduction, Value value, Slope slope,
                     Graph graph) {
  check_reduction(reduction, 1, op.c_str());
  return pointwise(
      op, x, target, {}, reduction, [value](auto a, auto b, auto) { return value(a - b); },
      [slope](auto a, auto b, auto) { return slope(a - b); }, [slope](auto a, auto b, auto) { return -slope(a - b); },
      [graph](size_t input, const Tensor& a, const Tensor& b) {
        const Tensor by_x = graph(sub(a, b));
        return input == 0 ? by_x : neg(by_x);
      });
}

template <class T> T sign(T v) { return static_cast<T>((v > 0) - (v < 0)); }

// d clamped to [−limit, limit].
Tensor clamped(const Tensor& d, double limit) {
  const Tensor bound = constant_like(d, limit);
  return sub(sub(relu(add(d, bound)), relu(sub(d, bound))), bound);
}

// log(1 + exp(−x)) in differentiable operations, without overflow.
Tensor softplus_of_negative(const Tensor& x) {
  const Tensor magnitude = add(relu(x), relu(neg(x)));
  return add(relu(neg(x)), log(add(exp(neg(magnitude)), constant_like(x, 1))));
}

template <class T> T softplus_of_negative(T x) { return std::max(-x, T(0)) + std::log1p(std::exp(-std::abs(x))); }

template <class T> T log_cut_off(T x) { return std::max(std::log(x), T(-100)); }

void check_probabilities(const Tensor& x, const char* op) {
  dispatch_floating(x.dtype(), op, [&](auto zero) {
    const Tensor dense = x.alias().contiguous();
    int64_t position = 0;
    for (const auto value : dense.span<decltype(zero)>()) {
      if (!(value >= 0 && value <= 1)) {
        throw ValueError(
            fmt::format("{}: element {} of x is {}, outside [0, 1]; for logits use "
                        "binary_cross_entropy_with_logits",
                        op, position, value));
      }
      ++position;
    }
  });
}

// Weights losses, then reduces them.
template <class Loss>
Tensor weighted(const Tensor& x, const Tensor& weight, Reduction reduction, const char* op, Loss loss) {
  check_reduction(reduction, 1, op);
  if (!weight.defined()) return loss(reduction);
  check_same_dtype(x, weight, op);
  if (broadcast_shapes(x.shape(), weight.shape(), op) != x.shape()) {
    throw ShapeError(
        fmt::format("{}: weight {} does not broadcast to x {}", op, to_string(weight.shape()), to_string(x.shape())));
  }
  return reduced(mul(loss(Reduction::none), weight.alias()), reduction, op);
}

}  // namespace

Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  return of_difference(
      "mse_loss", x, target, reduction, [](auto d) { return d * d; }, [](auto d) { return 2 * d; },
      [](const Tensor& d) { return scale(d, 2); });
}

Tensor l1_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  return of_difference(
      "l1_loss", x, target, reduction, [](auto d) { return std::abs(d); }, [](auto d) { return sign(d); },
      [](const Tensor& d) {
        Tensor slope = d.alias().clone();
        dispatch_floating(d.dtype(), "l1_loss", [&](auto zero) {
          using T = decltype(zero);
          map(slope.numel(), slope.data<T>(), slope.data<T>(), [](T v) { return sign(v); });
        });
        return slope;
      });
}

Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, Reduction reduction, double beta) {
  if (!(beta >= 0)) throw ValueError(fmt::format("smooth_l1_loss: beta {} is negative", beta));
  if (beta == 0) return l1_loss(x, target, reduction);
  return of_difference(
      "smooth_l1_loss", x, target, reduction,
      [beta](auto d) {
        const auto size = std::abs(d), b = static_cast<decltype(d)>(beta);
        return size < b ? d * d / (2 * b) : size - b / 2;
      },
      [beta](auto d) {
        const auto b = static_cast<decltype(d)>(beta);
        return std::abs(d) < b ? d / b : sign(d);
      },
      [beta](const Tensor& d) { return div(clamped(d, beta), beta); });
}

Tensor huber_loss(const Tensor& x, const Tensor& target, Reduction reduction, double delta) {
  if (!(delta > 0)) throw ValueError(fmt::format("huber_loss: delta {} is not above 0", delta));
  return of_difference(
      "huber_loss", x, target, reduction,
      [delta](auto d) {
        const auto size = std::abs(d), b = static_cast<decltype(d)>(delta);
        return size <= b ? d * d / 2 : b * (size - b / 2);
      },
      [delta](auto d) { return std::clamp(d, static_cast<decltype(d)>(-delta), static_cast<decltype(d)>(delta)); },
      [delta](const Tensor& d) { return clamped(d, delta); });
}

Tensor binary_cross_entropy(const Tensor& x, const Tensor& target, const Tensor& weight, Reduction reduction) {
  constexpr const char* op = "binary_cross_entropy";
  check_pair(x, target, op);
  check_probabilities(x, op);
  return weighted(x, weight, reduction, op, [&](Reduction how) {
    return pointwise(
        "binary_cross_entropy", x, target, {}, how,
        [](auto p, auto t, auto) { return -t * log_cut_off(p) - (1 - t) * log_cut_off(1 - p); },
        [](auto p, auto t, auto) { return (p - t) / std::max((1 - p) * p, static_cast<decltype(p)>(1e-12)); },
        [](auto p, auto, auto) { return log_cut_off(1 - p) - log_cut_off(p); },
        [](size_t input, const Tensor& p, const Tensor& t) {
          const Tensor other = sub(constant_like(p, 1), p);
          // The same cut-offs as above.
          if (input == 0) return div(sub(p, t), clamp_min(mul(other, p), 1e-12));
          return sub(clamp_min(log(other), -100), clamp_min(log(p), -100));
        });
  });
}

Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target, const Tensor& weight,
                                        Reduction reduction, const Tensor& pos_weight) {
  constexpr const char* op = "binary_cross_entropy_with_logits";
  check_pair(x, target, op);
  Tensor positive;
  if (pos_weight.defined()) {
    check_same_dtype(x, pos_weight, op);
    positive = pos_weight.alias().expand(x.shape()).contiguous();
  }
  // With p the weight of positive targets: (1−t)·x + (1 + (p−1)·t)·log(1 + exp(−x)).
  return weighted(x, weight, reduction, op, [&](Reduction how) {
    return pointwise(
        "binary_cross_entropy_with_logits", x, target, positive, how,
        [](auto v, auto t, auto p) { return (1 - t) * v + (1 + (p - 1) * t) * softplus_of_negative(v); },
        [](auto v, auto t, auto p) { return (1 - t) - (1 + (p - 1) * t) / (1 + std::exp(v)); },
        [](auto v, auto, auto p) { return (p - 1) * softplus_of_negative(v) - v; },
        [positive](size_t input, const Tensor& v, const Tensor& t) {
          const Tensor one = constant_like(v, 1);
          const Tensor more = positive.defined() ? sub(positive, one) : constant_like(v, 0);
          if (input == 1) return sub(mul(more, softplus_of_negative(v)), v);
          return sub(sub(one, t), mul(add(one, mul(more, t)), sigmoid(neg(v))));
        });
  });
}

Tensor kl_div(const Tensor& x, const Tensor& target, Reduction reduction, bool log_target) {
  if (log_target) {
    return pointwise(
        "kl_div", x, target, {}, reduction, [](auto v, auto t, auto) { return std::exp(t) * (t - v); },
        [](auto, auto t, auto) { return -std::exp(t); }, [](auto v, auto t, auto) { return std::exp(t) * (t - v + 1); },
        [](size_t input, const Tensor& v, const Tensor& t) {
          return input == 0 ? neg(exp(t)) : mul(exp(t), add(sub(t, v), constant_like(v, 1)));
        });
  }
  return pointwise(
      "kl_div", x, target, {}, reduction,
      [](auto v, auto t, auto) { return t == 0 ? decltype(t)(0) : t * (std::log(t) - v); },
      [](auto, auto t, auto) { return -t; }, [](auto v, auto t, auto) { return std::log(t) - v + 1; },
      [](size_t input, const Tensor& v, const Tensor& t) {
        return input == 0 ? neg(t) : add(sub(log(t), v), constant_like(v, 1));
      });
}

}  // namespace qing
