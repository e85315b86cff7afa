// L-BFGS (Nocedal & Wright 2006, chapter 7): steps along quasi-Newton directions made of the last changes of the
// gradient. For smooth losses of few parameters that are computed on all data.
#pragma once

#include <qing/optim/state.h>
#include <qing/tensor/tensor.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

namespace qing::optim {

/// Options and defaults of torch.optim.LBFGS.
struct LbfgsOptions {
  double lr = 1;                   ///< the length of a step, or the first that the line search tries
  int64_t max_iter = 20;           ///< iterations of one call of step()
  int64_t max_eval = 0;            ///< evaluations of the loss in one call of step(); 0: 5/4 of max_iter
  double tolerance_grad = 1e-7;    ///< ends when no element of the gradient is larger
  double tolerance_change = 1e-9;  ///< ends when the parameters or the loss change less
  int64_t history_size = 100;
  /// Searches a step that meets the strong Wolfe conditions (their algorithms 3.5 and 3.6), with at most 25
  /// evaluations.
  bool strong_wolfe = false;
};

/// Not thread-safe. The direction is computed in f64. The state takes 2·history_size numbers for each parameter.
class Lbfgs : public Stateful {
 public:
  /// ValueError for options out of range, without parameters, and for one that is no contiguous leaf that requires a
  /// gradient.
  explicit Lbfgs(std::vector<Tensor> parameters, LbfgsOptions options = {});

  /// Up to max_iter iterations. closure() clears the gradients, computes the loss, calls backward() and returns the
  /// loss; it is called several times and has to give the same loss for the same parameters. Returns the loss of the
  /// first call. Warns once when no parameter has a gradient after the first call. ValueError for a first loss that is
  /// not finite.
  double step(const std::function<Tensor()>& closure);
  void zero_grad();
  const std::vector<Tensor>& parameters() const { return parameters_; }

  StateDict state_dict() const override;  ///< "iterations", "history.0.step", "history.0.change", ...
  void load_state_dict(const StateDict& state) override;

 private:
  using Vector = std::vector<double>;
  struct Pair {
    Vector step, change;  // of the parameters and of the gradient
  };
  struct Point {
    double loss;
    Vector gradient;
  };

  Vector gradient() const;
  Vector values() const;
  void set_values(const Vector& values);
  Point evaluate(const std::function<Tensor()>& closure, const Vector& from, const Vector& direction, double length);
  Vector direction_of(const Vector& gradient) const;
  double search(const std::function<Tensor()>& closure, const Vector& from, const Vector& direction, double first,
                Point& point, int64_t& evaluations);

  std::vector<Tensor> parameters_;
  LbfgsOptions options_;
  int64_t iterations_ = 0;  // of all steps
  std::deque<Pair> history_;
  double scale_ = 1;  // of the first estimate of the inverse Hessian
  Vector direction_, last_gradient_;
  double length_ = 0;
};

}  // namespace qing::optim
