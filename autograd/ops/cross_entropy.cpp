// Cross entropy and negative log likelihood. With a[c] = weight[c]·q[c] and A = Σ a, a row's loss is Σ a[c]·(lse −
// x[c]). Its gradient is A·softmax(x) − a.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/losses_detail.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/defined.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr int64_t kRowGrain = 64;

// The targets of [rows, classes]: one class per row, or the probabilities of all classes.
struct Targets {
  std::vector<int64_t> classes;  // -1: the row does not count
  Tensor probabilities;
  Tensor weight;  // contiguous, or undefined: all 1
  double smoothing = 0;
  int64_t width = 0;
  double divisor = 1;  // of the mean

  bool indices() const { return !probabilities.defined(); }
};

// a[c] of every row.
template <class T> struct Coefficients {
  const int64_t* classes;
  const T* probabilities;
  const T* weight;
  T kept, spread;  // (1−ε), ε/classes
  int64_t width;

  explicit Coefficients(const Targets& targets)
      : classes(targets.classes.data()),
        probabilities(targets.indices() ? nullptr : targets.probabilities.data<T>()),
        weight(targets.weight.defined() ? targets.weight.data<T>() : nullptr),
        kept(static_cast<T>(1 - targets.smoothing)),
        spread(static_cast<T>(targets.smoothing / static_cast<double>(targets.width))),
        width(targets.width) {}

  T weight_of(int64_t c) const { return weight == nullptr ? T(1) : weight[c]; }
  bool counts(int64_t row) const { return probabilities != nullptr || classes[row] >= 0; }
  T at(int64_t row, int64_t c) const {
    if (!counts(row)) return 0;
    const T q = probabilities != nullptr ? probabilities[row * width + c] : T(c == classes[row]);
    return weight_of(c) * (kept * q + spread);
  }
  bool one_class() const { return probabilities == nullptr && spread == 0; }
  T total(int64_t row) const {
    if (one_class()) return counts(row) ? weight_of(classes[row]) : T(0);
    // In double: the shares of many classes are far smaller than the target's.
    double sum = 0;
    for (int64_t c = 0; c < width; ++c) sum += static_cast<double>(at(row, c));
    return static_cast<T>(sum);
  }
  // Σ a[c]·(lse − x[c]). x may be −∞ where a is 0.
  double loss(int64_t row, const T* x, T lse) const {
    if (!counts(row)) return 0;
    if (one_class()) return static_cast<double>(weight_of(classes[row])) * (static_cast<double>(lse) - x[classes[row]]);
    double sum = 0;
    for (int64_t c = 0; c < width; ++c) {
      if (const T a = at(row, c); a != 0) sum += static_cast<double>(a) * (static_cast<double>(lse) - x[c]);
    }
    return sum;
  }
};

// x [rows, classes, d1, ...] or [classes] as [rows, classes], recorded.
Tensor classes_last(const Tensor& x) {
  if (x.dim() == 1) return x.reshape({1, x.size(0)});
  if (x.dim() == 2) return x;
  std::vector<int64_t> order{0};
  for (int64_t d = 2; d < x.dim(); ++d) order.push_back(d);
  order.push_back(1);
  const int64_t classes = x.size(1);
  return x.permute(order).reshape({x.numel() / classes, classes});
}

int64_t check_classes(const Tensor& x, const char* op) {
  const int64_t classes = x.dim() == 0 ? 0 : x.size(x.dim() == 1 ? 0 : 1);
  if (classes > 0) return classes;
  throw ShapeError(
      fmt::format("{}: needs [rows, classes, ...] with at least one class, got shape {}", op, to_string(x.shape())));
}

[[noreturn]] void refuse_floating_classes(const Tensor& targets, const char* op) {
  throw DTypeError(
      fmt::format("{}: targets of shape {} are class indices, i32 or i64, got {}; convert them with "
                  "to(DType::i64)",
                  op, to_string(targets.shape()), name_of(targets.dtype())));
}

Shape rows_shape(const Tensor& x) {
  Shape shape = x.shape();
  shape.erase(shape.begin() + (x.dim() == 1 ? 0 : 1));
  return shape;
}

std::vector<int64_t> class_indices(const Tensor& targets, int64_t classes, int64_t ignore_index, const char* op) {
  std::vector<int64_t> result;
  result.reserve(static_cast<size_t>(targets.numel()));
  dispatch_index(targets.dtype(), op, [&](auto zero) {
    const Tensor dense = targets.contiguous();
    for (const auto target : dense.span<decltype(zero)>()) {
      const bool ignored = target == ignore_index;
      if (!ignored && (target < 0 || target >= classes)) {
        throw IndexError(fmt::format("{}: target {} of row {} is outside [0, {})", op, target, result.size(), classes));
      }
      result.push_back(ignored ? -1 : static_cast<int64_t>(target));
    }
  });
  return result;
}

// The divisor of a mean: the sum of the weights of the targets that count, or the number of rows.
double divisor_of(const Targets& targets, int64_t rows, const char* op) {
  if (!targets.indices()) return static_cast<double>(rows);
  double sum = 0;
  int64_t counted = 0;
  dispatch_floating(targets.weight.defined() ? targets.weight.dtype() : DType::f64, op, [&](auto zero) {
    const Coefficients<decltype(zero)> a(targets);
    for (const int64_t c : targets.classes) {
      if (c < 0) continue;
      sum += a.weight_of(c);
      ++counted;
    }
  });
  if (counted == 0) throw ValueError(fmt::format("{}: none of {} rows has a target that counts", op, rows));
  if (sum == 0) throw ValueError(fmt::format("{}: the weights of all {} targets that count are 0", op, counted));
  return sum;
}

Targets check_targets(const Tensor& x, const Tensor& targets, const Tensor& weight, int64_t ignore_index,
                      double smoothing, Reduction reduction, const char* op) {
  check_defined(x, op);
  check_defined(targets, op);
  const int64_t classes = check_classes(x, op);
  check_reduction(reduction, 1, op);
  if (!(smoothing >= 0 && smoothing <= 1)) {
    throw ValueError(fmt::format("{}: label_smoothing {} is outside [0, 1]", op, smoothing));
  }
  if (weight.defined()) {
    check_same_dtype(x, weight, op);
    if (weight.shape() != Shape{classes}) {
      throw ShapeError(fmt::format("{}: weight {} for {} classes", op, to_string(weight.shape()), classes));
    }
  }
  Targets result;
  result.width = classes;
  result.smoothing = smoothing;
  if (weight.defined()) result.weight = weight.alias().contiguous();
  if (is_floating(targets.dtype())) {
    if (targets.shape() != x.shape() && targets.shape() == rows_shape(x)) refuse_floating_classes(targets, op);
    check_same_dtype(x, targets, op);
    if (targets.shape() != x.shape()) {
      throw ShapeError(fmt::format("{}: probabilities {} for logits {}; needs the same shape", op,
                                   to_string(targets.shape()), to_string(x.shape())));
    }
    result.probabilities = classes_last(targets.alias()).contiguous();
  } else {
    if (targets.shape() != rows_shape(x)) {
      throw ShapeError(fmt::format("{}: logits {} and targets {}; needs [rows, classes, ...] and [rows, ...]", op,
                                   to_string(x.shape()), to_string(targets.shape())));
    }
    result.classes = class_indices(targets, classes, ignore_index, op);
  }
  const int64_t rows = x.numel() / classes;
  if (reduction == Reduction::mean) {
    if (rows == 0) throw ValueError(fmt::format("{}: none of 0 rows has a target that counts", op));
    result.divisor = divisor_of(result, rows, op);
  }
  return result;
}

// Reduces the losses of rows to the result.
template <class T>
Tensor reduce_rows(const std::vector<double>& losses, Reduction reduction, double divisor, DType dtype) {
  Tensor y = Tensor::empty(reduction == Reduction::none ? Shape{static_cast<int64_t>(losses.size())} : Shape{}, dtype);
  if (reduction == Reduction::none) {
    std::transform(losses.begin(), losses.end(), y.data<T>(), [](double value) { return static_cast<T>(value); });
    return y;
  }
  double total = 0;
  for (const double value : losses) total += value;
  *y.data<T>() = static_cast<T>(total / divisor);
  return y;
}

// Calls body(row, factor) with d(result)/d(loss of the row).
template <class T, class Body>
void over_rows(const Tensor& dy, int64_t rows, Reduction reduction, double divisor, Body body) {
  const T* upstream = dy.data<T>();
  parallel_for(rows, kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      body(r, reduction == Reduction::none ? upstream[r] : static_cast<T>(*upstream / divisor));
    }
  });
}

// The factors d(result)/d(loss) as a column, recorded.
Tensor factors(const Tensor& dy, Reduction reduction, double divisor) {
  return reduction == Reduction::none ? dy.reshape({-1, 1}) : div(dy, divisor);
}

Tensor dense_coefficients(const Targets& targets, int64_t rows, DType dtype) {
  Tensor a = Tensor::empty({rows, targets.width}, dtype);
  dispatch_floating(dtype, "cross_entropy", [&](auto zero) {
    using T = decltype(zero);
    const Coefficients<T> coefficients(targets);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < targets.width; ++c) a.data<T>()[r * targets.width + c] = coefficients.at(r, c);
    }
  });
  return a;
}

// The gradients of the logits and of probabilities, in differentiable operations. `lse` [rows, 1] is a constant shift
// here.
void cross_entropy_graph(const Tensor& dy, const Tensor& x, const Tensor& q, const Tensor& lse, const Targets& targets,
                         Reduction reduction, GradSink& grad) {
  const Tensor g = factors(dy, reduction, targets.divisor);
  const Tensor e = exp(sub(x, lse)), total = sum(e, {1}, true);
  Tensor weight = targets.weight.defined() ? targets.weight : constant_like(x, 1);
  Tensor a;
  if (targets.indices()) {
    a = dense_coefficients(targets, x.size(0), x.dtype());
  } else {
    const double spread = targets.smoothing / static_cast<double>(targets.width);
    a = mul(weight, add(scale(q, 1 - targets.smoothing), constant_like(x, spread)));
  }
  if (grad.needs(0)) grad.add(0, mul(g, sub(mul(sum(a, {1}, true), div(e, total)), a)));
  if (grad.needs(1)) {
    const Tensor surprise = sub(add(log(total), lse), x);
    grad.add(1, mul(g, mul(scale(weight, 1 - targets.smoothing), surprise)));
  }
}

template <class T>
void cross_entropy_backward(const Tensor& dy, const Tensor& x, const Tensor& p, const Tensor& lse,
                            const Targets& targets, Reduction reduction, GradSink& grad) {
  const Coefficients<T> a(targets);
  const int64_t rows = x.size(0), classes = x.size(1);
  if (grad.needs(0)) {
    const auto target = grad.target(0);
    over_rows<T>(dy, rows, reduction, targets.divisor, [&](int64_t r, T factor) {
      const T* softmax = p.data<T>() + r * classes;
      T* dx = target.tensor.data<T>() + r * classes;
      const bool counts = a.counts(r);
      const T total = a.total(r);
      for (int64_t c = 0; c < classes; ++c) {
        const T value = counts ? factor * (total * softmax[c] - a.at(r, c)) : T(0);
        dx[c] = target.accumulate ? dx[c] + value : value;
      }
    });
  }
  if (grad.needs(1)) {
    const auto target = grad.target(1);
    over_rows<T>(dy, rows, reduction, targets.divisor, [&](int64_t r, T factor) {
      const T* in = x.data<T>() + r * classes;
      T* dq = target.tensor.data<T>() + r * classes;
      for (int64_t c = 0; c < classes; ++c) {
        const T value = factor * a.kept * a.weight_of(c) * (lse.data<T>()[r] - in[c]);
        dq[c] = target.accumulate ? dq[c] + value : value;
      }
    });
  }
}

// x is [rows, classes]. q has the same shape, or is undefined for class indices.
Tensor cross_entropy_rows(const Tensor& input, const Tensor& q, const Targets& targets, Reduction reduction) {
  const Tensor x = input.alias().contiguous();
  const int64_t rows = x.size(0), classes = x.size(1);
  const Tensor p = Tensor::empty(x.shape(), x.dtype()), lse = Tensor::empty({rows, 1}, x.dtype());
  Tensor y = dispatch_floating(x.dtype(), "cross_entropy", [&](auto zero) {
    using T = decltype(zero);
    const Coefficients<T> a(targets);
    std::vector<double> losses(static_cast<size_t>(rows));
    parallel_for(rows, kRowGrain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* row = x.data<T>() + r * classes;
        lse.data<T>()[r] = kernels::kernels<T>().softmax(classes, T(1), row, p.data<T>() + r * classes);
        losses[r] = a.loss(r, row, lse.data<T>()[r]);
      }
    });
    return reduce_rows<T>(losses, reduction, targets.divisor, x.dtype());
  });
  if (recording({input, q})) {
    const Saved other(q.defined() ? targets.probabilities : x);
    record("cross_entropy", y, {input, q},
           [x = Saved(x), other, p, lse, targets, reduction](const Tensor& dy, GradSink& grad) {
             if (grad.create_graph()) {
               const Tensor probabilities = targets.indices() ? Tensor() : grad.input(1, other);
               return cross_entropy_graph(dy, grad.input(0, x), probabilities, lse, targets, reduction, grad);
             }
             other.get(grad);  // checks that it is unchanged
             dispatch_floating(dy.dtype(), "cross_entropy", [&](auto zero) {
               cross_entropy_backward<decltype(zero)>(dy, x.get(grad), p, lse, targets, reduction, grad);
             });
           });
  }
  return y;
}

Tensor nll_rows(const Tensor& input, const Targets& targets, Reduction reduction) {
  const Tensor x = input.alias().contiguous();
  const int64_t rows = x.size(0), classes = x.size(1);
  Tensor y = dispatch_floating(x.dtype(), "nll_loss", [&](auto zero) {
    using T = decltype(zero);
    const Coefficients<T> a(targets);
    std::vector<double> losses(static_cast<size_t>(rows));
    for (int64_t r = 0; r < rows; ++r) losses[r] = a.loss(r, x.data<T>() + r * classes, T(0));
    return reduce_rows<T>(losses, reduction, targets.divisor, x.dtype());
  });
  if (recording({input})) {
    record("nll_loss", y, {input}, [targets, rows, classes, reduction](const Tensor& dy, GradSink& grad) {
      if (grad.create_graph()) {
        const Tensor a = dense_coefficients(targets, rows, dy.dtype());
        return grad.add(0, neg(mul(factors(dy, reduction, targets.divisor), a)));
      }
      const Tensor target = grad.zeroed_target(0);
      dispatch_floating(dy.dtype(), "nll_loss", [&](auto zero) {
        using T = decltype(zero);
        const Coefficients<T> a(targets);
        over_rows<T>(dy, rows, reduction, targets.divisor, [&](int64_t r, T factor) {
          if (a.counts(r)) target.data<T>()[r * classes + a.classes[r]] -= factor * a.weight_of(a.classes[r]);
        });
      });
    });
  }
  return y;
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& targets, const CrossEntropyOptions& options) {
  const Targets wanted = check_targets(logits, targets, options.weight, options.ignore_index, options.label_smoothing,
                                       options.reduction, "cross_entropy");
  const Tensor q = wanted.indices() ? Tensor() : classes_last(targets);
  const Tensor y = cross_entropy_rows(classes_last(logits), q, wanted, options.reduction);
  return options.reduction == Reduction::none ? y.reshape(rows_shape(logits)) : y;
}

Tensor cross_entropy(const Tensor& logits, const Tensor& targets, int64_t ignore_index) {
  return cross_entropy(logits, targets, CrossEntropyOptions{.ignore_index = ignore_index});
}

Tensor nll_loss(const Tensor& log_probabilities, const Tensor& targets, const NllLossOptions& options) {
  check_defined(targets, "nll_loss");
  if (is_floating(targets.dtype())) refuse_floating_classes(targets, "nll_loss");
  const Targets wanted =
      check_targets(log_probabilities, targets, options.weight, options.ignore_index, 0, options.reduction, "nll_loss");
  const Tensor y = nll_rows(classes_last(log_probabilities), wanted, options.reduction);
  return options.reduction == Reduction::none ? y.reshape(rows_shape(log_probabilities)) : y;
}

}  // namespace qing
