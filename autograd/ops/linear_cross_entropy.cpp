// With q the smoothed targets, a row's loss is lse − Σ q[c]·x[c], and its gradient softmax(x) − q.
#include <qing/autograd/ops/linear_cross_entropy.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include <qing/autograd/autocast.h>
#include <qing/autograd/graph.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/bf16_products.h>
#include <qing/tensor/ops/matmul.h>
#include <qing/tensor/ops/reduce.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr const char* kLinearCrossEntropy = "linear_cross_entropy";
constexpr int64_t kChunkElements = int64_t{1} << 23;  // of logits
constexpr int64_t kFewestRows = 64;                   // of a chunk: products of fewer rows are slow
constexpr int64_t kLossGrain = 8;                     // rows of one thread at a time

void check_operands(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& targets,
                    const LinearCrossEntropyOptions& options) {
  check_floating(x, kLinearCrossEntropy);
  check_same_dtype(x, weight, kLinearCrossEntropy);
  if (bias.defined()) check_same_dtype(x, bias, kLinearCrossEntropy);
  const bool fits = x.dim() == 2 && weight.dim() == 2 && x.size(1) == weight.size(1) && weight.size(0) > 0 &&
                    targets.shape() == Shape{x.size(0)} && (!bias.defined() || bias.shape() == Shape{weight.size(0)});
  if (!fits) {
    throw ShapeError(
        fmt::format("{}: x {}, weight {}, bias {}, targets {}; needs [rows, width], [classes, width], "
                    "[classes], [rows]",
                    kLinearCrossEntropy, to_string(x.shape()), to_string(weight.shape()),
                    bias.defined() ? to_string(bias.shape()) : "none", to_string(targets.shape())));
  }
  if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1)) {
    throw ValueError(
        fmt::format("{}: label_smoothing {} is outside [0, 1]", kLinearCrossEntropy, options.label_smoothing));
  }
  if (options.reduction != Reduction::mean && options.reduction != Reduction::sum) {
    throw ValueError(fmt::format("{}: the reduction must be mean or sum", kLinearCrossEntropy));
  }
  if (options.reduction == Reduction::mean && x.size(0) == 0) {
    throw ValueError(fmt::format("{}: the mean over 0 rows", kLinearCrossEntropy));
  }
}

std::vector<int64_t> checked_classes(const Tensor& targets, int64_t classes) {
  std::vector<int64_t> result;
  result.reserve(static_cast<size_t>(targets.numel()));
  dispatch_index(targets.dtype(), kLinearCrossEntropy, [&](auto zero) {
    const Tensor dense = targets.alias().contiguous();
    for (const auto target : dense.span<decltype(zero)>()) {
      if (target < 0 || target >= classes) {
        throw IndexError(fmt::format("{}: target {} of row {} is outside [0, {})", kLinearCrossEntropy, target,
                                     result.size(), classes));
      }
      result.push_back(static_cast<int64_t>(target));
    }
  });
  return result;
}

// The gradients of the sum of the losses times `factor`; those that are not needed are undefined.
struct LossGradients {
  Tensor x, weight, bias;
};

struct LossChunks {
  Tensor x, weight, bias;
  std::vector<int64_t> targets;
  double smoothing;
  double factor;  // of the gradients

  void multiply(const Tensor& a, const Tensor& b, const Tensor& y, bool accumulate, const Tensor& added = {}) const {
    const bool bf16 = x.dtype() == DType::f32 && autocast_dtype() == DType::bf16;
    (bf16 ? matmul_bf16_into : matmul_into)(a, b, y, accumulate, added, {});
  }

  // Replaces the logits of rows from `first` on by their gradients, if asked for, and writes the rows' losses.
  template <class T> void losses_of(const Tensor& logits, int64_t first, bool gradients, double* losses) const {
    const int64_t classes = weight.size(0);
    const T kept = static_cast<T>(1 - smoothing), spread = static_cast<T>(smoothing / static_cast<double>(classes));
    const T scale = static_cast<T>(factor), shift = scale * spread;
    const auto& table = kernels::kernels<T>();
    parallel_for(logits.size(0), kLossGrain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        T* const row = logits.data<T>() + r * classes;
        const int64_t target = targets[first + r];
        double expected = static_cast<double>(kept) * static_cast<double>(row[target]);
        if (spread != 0) expected += static_cast<double>(spread) * static_cast<double>(table.sum(classes, row));
        losses[first + r] = static_cast<double>(table.softmax(classes, T(1), row, row)) - expected;
        if (!gradients) continue;
        for (int64_t c = 0; c < classes; ++c) row[c] = scale * row[c] - shift;
        row[target] -= scale * kept;
      }
    });
  }

  // Returns the sum of the losses, and adds to the gradients that are defined.
  template <class T> double run(const LossGradients& to) const {
    const int64_t rows = x.size(0), classes = weight.size(0);
    const bool gradients = to.x.defined() || to.weight.defined() || to.bias.defined();
    const int64_t chunk = std::min(rows, std::max(kFewestRows, kChunkElements / classes / kFewestRows * kFewestRows));
    const Tensor memory = Tensor::empty({chunk, classes}, x.dtype());
    std::vector<double> losses(static_cast<size_t>(rows));
    for (int64_t first = 0; first < rows; first += chunk) {
      const int64_t last = std::min(rows, first + chunk);
      const Tensor in = x.slice(0, first, last), logits = memory.slice(0, 0, last - first);
      multiply(in, weight.transpose(0, 1), logits, false, bias);
      losses_of<T>(logits, first, gradients, losses.data());
      if (to.x.defined()) multiply(logits, weight, to.x.slice(0, first, last), false);
      if (to.weight.defined()) multiply(logits.transpose(0, 1), in, to.weight, first > 0);
      if (to.bias.defined()) {
        sum_rows(logits.size(0), classes, logits.data<T>(), classes, to.bias.data<T>(), first > 0);
      }
    }
    double total = 0;
    for (const double loss : losses) total += loss;
    return total;
  }
};

// Where `input`'s gradient goes. Without rows nothing is written to it.
Tensor memory_for(const Tensor& input, int64_t rows) {
  if (!input.defined() || !recording({input})) return {};
  return rows == 0 ? Tensor::zeros(input.shape(), input.dtype()) : Tensor::empty(input.shape(), input.dtype());
}

}  // namespace

Tensor linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& targets,
                            const LinearCrossEntropyOptions& options) {
  check_operands(x, weight, bias, targets, options);
  const double divisor = options.reduction == Reduction::mean ? static_cast<double>(x.size(0)) : 1;
  const LossChunks chunks{.x = x.alias().contiguous(),
                          .weight = weight.alias().contiguous(),
                          .bias = bias.defined() ? bias.alias().contiguous() : Tensor(),
                          .targets = checked_classes(targets, weight.size(0)),
                          .smoothing = options.label_smoothing,
                          .factor = 1 / divisor};
  const int64_t rows = x.size(0);
  const LossGradients gradients{memory_for(x, rows), memory_for(weight, rows), memory_for(bias, rows)};
  Tensor y = Tensor::empty({}, x.dtype());
  dispatch_floating(x.dtype(), kLinearCrossEntropy, [&](auto zero) {
    using T = decltype(zero);
    *y.data<T>() = static_cast<T>(chunks.run<T>(gradients) / divisor);
  });
  if (recording({x, weight, bias})) {
    record("linear_cross_entropy", y, {x, weight, bias}, [gradients](const Tensor& dy, GradSink& grad) {
      const double upstream = dy.item();
      const std::array<Tensor, 3> all{gradients.x, gradients.weight, gradients.bias};
      for (size_t i = 0; i < all.size(); ++i) {
        if (grad.needs(i)) grad.add(i, upstream == 1 ? all[i] : scale(all[i], upstream));
      }
    });
  }
  return y;
}

}  // namespace qing
