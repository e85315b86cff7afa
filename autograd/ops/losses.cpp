// Cross entropy of logits against class indices.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr int64_t kRowGrain = 64;

// Targets as int64, checked; the number of rows that count.
struct Targets {
  std::vector<int64_t> classes;
  int64_t counted = 0;
};

Targets check(const Tensor& logits, const Tensor& targets, int64_t ignore_index) {
  if (logits.dim() != 2 || logits.size(1) < 1 || targets.shape() != Shape{logits.size(0)}) {
    throw ShapeError(fmt::format("cross_entropy: logits {} and targets {}; needs [rows, classes] and [rows]",
                                 to_string(logits.shape()), to_string(targets.shape())));
  }
  Targets result;
  dispatch_index(targets.dtype(), "cross_entropy", [&](auto zero) {
    const Tensor dense = targets.contiguous();
    for (const auto target : dense.span<decltype(zero)>()) {
      if (target != ignore_index && (target < 0 || target >= logits.size(1))) {
        throw IndexError(fmt::format("cross_entropy: target {} of row {} is outside [0, {})", target,
                                     result.classes.size(), logits.size(1)));
      }
      result.classes.push_back(target);
      result.counted += target != ignore_index;
    }
  });
  if (result.counted == 0) {
    throw ValueError(fmt::format("cross_entropy: none of {} rows has a target that counts", logits.size(0)));
  }
  return result;
}

}  // namespace

Tensor cross_entropy(const Tensor& input, const Tensor& targets, int64_t ignore_index) {
  const Targets wanted = check(input, targets, ignore_index);
  const Tensor logits = input.contiguous();
  const int64_t rows = logits.size(0), classes = logits.size(1);
  const Tensor probabilities = Tensor::empty(logits.shape(), logits.dtype());
  Tensor loss = Tensor::empty({}, logits.dtype());
  dispatch_floating(logits.dtype(), "cross_entropy", [&](auto zero) {
    using T = decltype(zero);
    std::vector<double> losses(static_cast<size_t>(rows), 0.0);
    parallel_for(rows, kRowGrain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* row = logits.data<T>() + r * classes;
        const T log_sum = kernels::kernels<T>().softmax(classes, T(1), row, probabilities.data<T>() + r * classes);
        if (wanted.classes[r] != ignore_index) losses[r] = static_cast<double>(log_sum) - row[wanted.classes[r]];
      }
    });
    double total = 0;
    for (const double value : losses) total += value;
    *loss.data<T>() = static_cast<T>(total / static_cast<double>(wanted.counted));
  });
  if (recording({input})) {
    record("cross_entropy", loss, {input},
           [wanted, ignore_index, rows, classes, probabilities](const Tensor& dy, GradSink& grad) {
             const auto target = grad.target(0);
             dispatch_floating(dy.dtype(), "cross_entropy", [&](auto zero) {
               using T = decltype(zero);
               // d/dlogits = (softmax − onehot) / rows
               const T factor = *dy.data<T>() / static_cast<T>(wanted.counted);
               parallel_for(rows, kRowGrain, [&](int64_t begin, int64_t end) {
                 for (int64_t r = begin; r < end; ++r) {
                   const T* p = probabilities.data<T>() + r * classes;
                   T* dx = target.tensor.data<T>() + r * classes;
                   const bool counts = wanted.classes[r] != ignore_index;
                   for (int64_t j = 0; j < classes; ++j) {
                     const T value = counts ? factor * (p[j] - T(j == wanted.classes[r])) : T(0);
                     dx[j] = target.accumulate ? dx[j] + value : value;
                   }
                 }
               });
             });
           });
  }
  return loss;
}

}  // namespace qing
