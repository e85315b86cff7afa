#include <qing/autograd/ops/ctc_loss.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include <qing/autograd/graph.h>
#include <qing/autograd/ops/arithmetic.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/autograd/ops/selection.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/ops/apply.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();  // the logarithm of 0

double log_add(double a, double b) {
  const double high = std::max(a, b), low = std::min(a, b);
  return low == kNever ? high : high + std::log1p(std::exp(low - high));
}

// One sequence of a batch. Its states are the target's labels with blanks between and around them.
class Alignment {
 public:
  Alignment(const double* log_probs, int64_t steps, int64_t stride, std::span<const int64_t> target, int64_t blank)
      : log_probs_(log_probs), steps_(steps), stride_(stride), states_(2 * std::ssize(target) + 1) {
    for (int64_t s = 0; s < states_; ++s) labels_.push_back(s % 2 == 0 ? blank : target[static_cast<size_t>(s / 2)]);
  }

  double loss() {
    if (steps_ == 0) return states_ == 1 ? 0 : -kNever;
    forward();
    const double* const last = alpha_.data() + (steps_ - 1) * states_;
    return -log_add(last[states_ - 1], states_ > 1 ? last[states_ - 2] : kNever);
  }

  // Subtracts the posterior of each class at each step, NaN where there is no alignment. Follows loss().
  void subtract_posteriors(double loss, double* gradient) const {
    std::vector<double> beta(static_cast<size_t>(states_), kNever), next;
    for (int64_t t = steps_ - 1; t >= 0; --t) {
      next.assign(beta.begin(), beta.end());
      for (int64_t s = 0; s < states_; ++s) {
        double& own = beta[static_cast<size_t>(s)];
        if (t == steps_ - 1) {
          own = s >= states_ - 2 ? 0 : kNever;
        } else {
          own = kNever;
          for (int64_t to = s; to <= std::min(s + 2, states_ - 1); ++to) {
            if (to == s + 2 && !may_skip(to)) continue;
            own = log_add(own, next[static_cast<size_t>(to)] + at(t + 1, to));
          }
        }
        const double joint = alpha_[static_cast<size_t>(t * states_ + s)] + own + loss;
        double& place = gradient[t * stride_ + labels_[static_cast<size_t>(s)]];
        place -= std::isinf(loss) ? std::nan("") : std::exp(joint);
      }
    }
  }

 private:
  double at(int64_t t, int64_t s) const { return log_probs_[t * stride_ + labels_[static_cast<size_t>(s)]]; }
  // Whether state s may follow state s − 2: it is a label, and another one.
  bool may_skip(int64_t s) const {
    return s % 2 == 1 && s >= 2 && labels_[static_cast<size_t>(s)] != labels_[static_cast<size_t>(s - 2)];
  }

  void forward() {
    alpha_.assign(static_cast<size_t>(steps_ * states_), kNever);
    for (int64_t s = 0; s < std::min<int64_t>(2, states_); ++s) alpha_[static_cast<size_t>(s)] = at(0, s);
    for (int64_t t = 1; t < steps_; ++t) {
      const double* const before = alpha_.data() + (t - 1) * states_;
      for (int64_t s = 0; s < states_; ++s) {
        double sum = before[s];
        if (s >= 1) sum = log_add(sum, before[s - 1]);
        if (may_skip(s)) sum = log_add(sum, before[s - 2]);
        alpha_[static_cast<size_t>(t * states_ + s)] = sum + at(t, s);
      }
    }
  }

  const double* log_probs_;
  int64_t steps_, stride_, states_;
  std::vector<int64_t> labels_;
  std::vector<double> alpha_;  // [steps, states]
};

void check_lengths(const std::vector<int64_t>& lengths, int64_t batch, int64_t most, const char* what) {
  if (std::ssize(lengths) != batch) {
    throw ValueError(fmt::format("ctc_loss: {} {} for a batch of {}", lengths.size(), what, batch));
  }
  for (const int64_t length : lengths) {
    if (length < 0 || length > most)
      throw ValueError(fmt::format("ctc_loss: {} has {}, which is outside [0, {}]", what, length, most));
  }
}

// The target of each sequence.
std::vector<std::vector<int64_t>> rows_of(const Tensor& targets, const std::vector<int64_t>& lengths, int64_t classes,
                                          int64_t blank) {
  const Tensor all = targets.to(DType::i64).contiguous();
  const int64_t* next = all.data<int64_t>();
  std::vector<std::vector<int64_t>> rows;
  for (size_t i = 0; i < lengths.size(); ++i) {
    rows.emplace_back(next, next + lengths[i]);
    next += targets.dim() == 2 ? targets.size(1) : lengths[i];
    for (const int64_t label : rows.back()) {
      if (label >= 0 && label < classes && label != blank) continue;
      throw IndexError(
          fmt::format("ctc_loss: sequence {} has the target {}; needs classes of [0, {}) other than the blank {}", i,
                      label, classes, blank));
    }
  }
  return rows;
}

}  // namespace

Tensor ctc_loss(const Tensor& log_probs, const Tensor& targets, const std::vector<int64_t>& input_lengths,
                const std::vector<int64_t>& target_lengths, const CtcLossOptions& options) {
  constexpr const char* op = "ctc_loss";
  check_floating(log_probs, op);
  if (log_probs.dim() != 3) {
    throw ShapeError(fmt::format("{}: log_probs {}; needs [time, batch, classes]", op, to_string(log_probs.shape())));
  }
  if (targets.dtype() != DType::i64 && targets.dtype() != DType::i32) {
    throw DTypeError(fmt::format("{}: targets of {}; they are class indices, so convert them with to(DType::i64)", op,
                                 name_of(targets.dtype())));
  }
  const int64_t batch = log_probs.size(1), classes = log_probs.size(2);
  check_lengths(input_lengths, batch, log_probs.size(0), "input_lengths");
  const bool joined = targets.dim() == 1;
  check_lengths(target_lengths, batch, joined ? targets.size(0) : targets.size(-1), "target_lengths");
  const int64_t total = std::accumulate(target_lengths.begin(), target_lengths.end(), int64_t{0});
  if ((targets.dim() != 2 || targets.size(0) != batch) && (!joined || targets.size(0) != total)) {
    throw ShapeError(fmt::format("{}: targets {}; needs [{}, longest] or, one after another, [{}]", op,
                                 to_string(targets.shape()), batch, total));
  }
  if (options.blank < 0 || options.blank >= classes) {
    throw ValueError(fmt::format("{}: the blank {} is outside [0, {})", op, options.blank, classes));
  }
  if (options.reduction == Reduction::batchmean) throw ValueError("ctc_loss: it has no reduction batchmean");
  const auto rows = rows_of(targets, target_lengths, classes, options.blank);
  const bool recorded = recording({log_probs});
  const Tensor wide = log_probs.alias().to(DType::f64).contiguous();
  Tensor losses = Tensor::empty({batch}, DType::f64);
  Tensor slopes = recorded ? Tensor::zeros(wide.shape(), DType::f64) : Tensor();
  parallel_for(batch, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Alignment alignment(wide.data<double>() + i * classes, input_lengths[static_cast<size_t>(i)], batch * classes,
                          rows[static_cast<size_t>(i)], options.blank);
      double loss = alignment.loss();
      const bool none = std::isinf(loss) && options.zero_infinity;
      if (recorded && !none) alignment.subtract_posteriors(loss, slopes.data<double>() + i * classes);
      losses.data<double>()[i] = none ? 0 : loss;
    }
  });
  Tensor y = losses.to(log_probs.dtype());
  if (recorded) {
    record(op, y, {log_probs}, [slopes = slopes.to(log_probs.dtype())](const Tensor& dy, GradSink& grad) {
      grad.add(0, mul(slopes, unsqueeze(unsqueeze(dy, 0), -1)));
    });
  }
  if (options.reduction == Reduction::none) return y;
  if (options.reduction == Reduction::sum) return sum(y);
  Tensor divisors = Tensor::empty({batch}, y.dtype());
  for (int64_t i = 0; i < batch; ++i) divisors.set({i}, std::max<int64_t>(1, target_lengths[static_cast<size_t>(i)]));
  return mean(div(y, divisors));
}

}  // namespace qing
