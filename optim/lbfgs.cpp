#include <qing/optim/lbfgs.h>

#include <fmt/format.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/training_watch.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/warnings.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

namespace qing::optim {
namespace {

constexpr int64_t kMostSearched = 25;

double dot_of(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

double largest_of(const std::vector<double>& values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

void add_scaled(std::vector<double>& to, double factor, const std::vector<double>& values) {
  for (size_t i = 0; i < to.size(); ++i) to[i] += factor * values[i];
}

void check_option(const char* name, double value, bool zero_allowed) {
  if (std::isfinite(value) && (value > 0 || (zero_allowed && value == 0))) return;
  throw ValueError(fmt::format("Lbfgs: {} is {}; it must be {} 0", name, value, zero_allowed ? "at least" : "above"));
}

Tensor vector_state(const std::vector<double>& values) {
  return Tensor::from(std::span<const double>(values), {std::ssize(values)}).clone();
}

}  // namespace

Lbfgs::Lbfgs(std::vector<Tensor> parameters, LbfgsOptions options)
    : parameters_(std::move(parameters)), options_(options) {
  if (parameters_.empty())
    throw ValueError("Lbfgs: there are no parameters; does the module report its parts in visit()?");
  for (const Tensor& parameter : parameters_) {
    if (!parameter.defined() || !requires_grad(parameter) || !is_leaf(parameter) || !parameter.is_contiguous()) {
      throw ValueError(fmt::format("Lbfgs: a parameter of shape {} is no contiguous leaf that requires a gradient",
                                   parameter.defined() ? to_string(parameter.shape()) : "(undefined)"));
    }
  }
  check_option("lr", options.lr, false);
  check_option("tolerance_grad", options.tolerance_grad, true);
  check_option("tolerance_change", options.tolerance_change, true);
  check_option("max_iter", static_cast<double>(options.max_iter), false);
  check_option("max_eval", static_cast<double>(options.max_eval), true);
  check_option("history_size", static_cast<double>(options.history_size), false);
  if (options_.max_eval == 0) options_.max_eval = options_.max_iter * 5 / 4;
  watch_training(parameters_);
}

void Lbfgs::zero_grad() {
  for (const Tensor& parameter : parameters_) qing::zero_grad(parameter);
}

Lbfgs::Vector Lbfgs::gradient() const {
  Vector all;
  for (const Tensor& parameter : parameters_) {
    const Tensor g = grad(parameter);
    if (!g.defined()) {
      all.resize(all.size() + static_cast<size_t>(parameter.numel()));
      continue;
    }
    const Tensor wide = g.to(DType::f64).contiguous();
    all.insert(all.end(), wide.data<double>(), wide.data<double>() + wide.numel());
  }
  return all;
}

Lbfgs::Vector Lbfgs::values() const {
  Vector all;
  for (const Tensor& parameter : parameters_) {
    const Tensor wide = detach(parameter).to(DType::f64).contiguous();
    all.insert(all.end(), wide.data<double>(), wide.data<double>() + wide.numel());
  }
  return all;
}

void Lbfgs::set_values(const Vector& values) {
  const NoGradGuard no_grad;
  const double* next = values.data();
  for (const Tensor& parameter : parameters_) {
    Tensor place = parameter;
    const auto count = static_cast<size_t>(parameter.numel());
    place.copy_from(Tensor::from(std::span<const double>(next, count), parameter.shape()).to(parameter.dtype()));
    next += count;
  }
}

Lbfgs::Point Lbfgs::evaluate(const std::function<Tensor()>& closure, const Vector& from, const Vector& direction,
                             double length) {
  Vector at = from;
  add_scaled(at, length, direction);
  set_values(at);
  const double loss = closure().item();
  return {loss, gradient()};
}

// The two loops of algorithm 7.4.
Lbfgs::Vector Lbfgs::direction_of(const Vector& gradient) const {
  Vector direction = gradient;
  for (double& value : direction) value = -value;
  std::vector<double> shares(history_.size());
  for (size_t i = history_.size(); i-- > 0;) {
    const Pair& pair = history_[i];
    shares[i] = dot_of(pair.step, direction) / dot_of(pair.change, pair.step);
    add_scaled(direction, -shares[i], pair.change);
  }
  for (double& value : direction) value *= scale_;
  for (size_t i = 0; i < history_.size(); ++i) {
    const Pair& pair = history_[i];
    const double back = dot_of(pair.change, direction) / dot_of(pair.change, pair.step);
    add_scaled(direction, shares[i] - back, pair.step);
  }
  return direction;
}

// Algorithms 3.5 and 3.6 with bisection: the interval [low, high] holds a step that meets the conditions once the loss
// rises or the slope changes its sign. Leaves the parameters and `point` at the returned length.
double Lbfgs::search(const std::function<Tensor()>& closure, const Vector& from, const Vector& direction, double first,
                     Point& point, int64_t& evaluations) {
  constexpr double kDecrease = 1e-4, kCurvature = 0.9;
  const double loss = point.loss, slope = dot_of(point.gradient, direction);
  double low = 0, high = 0, low_loss = loss, length = first;
  bool bracketed = false;
  Point best = point;
  double best_length = 0;
  for (int64_t tries = 0; tries < kMostSearched; ++tries) {
    point = evaluate(closure, from, direction, length);
    ++evaluations;
    const bool decreased = std::isfinite(point.loss) && point.loss <= loss + kDecrease * length * slope;
    if (decreased && point.loss < best.loss) best = point, best_length = length;
    const double here = dot_of(point.gradient, direction);
    if (!decreased || (bracketed && point.loss >= low_loss)) {
      high = length;
      bracketed = true;
    } else if (std::abs(here) <= -kCurvature * slope) {
      return length;
    } else if (!bracketed && here < 0) {
      low = length, low_loss = point.loss;
      length *= 2;
      continue;
    } else {
      if (!bracketed || here * (high - low) >= 0) high = low;
      low = length, low_loss = point.loss;
      bracketed = true;
    }
    length = (low + high) / 2;
  }
  point = evaluate(closure, from, direction, best_length);
  ++evaluations;
  return best_length;
}

double Lbfgs::step(const std::function<Tensor()>& closure) {
  Point point{closure().item(), gradient()};
  if (std::ranges::none_of(parameters_, [](const Tensor& parameter) { return grad(parameter).defined(); })) {
    warn_once("step without gradients",
              fmt::format("Lbfgs: step() found no gradient of any of {} parameters; call backward() on the loss that "
                          "the closure returns",
                          parameters_.size()));
  }
  const double first_loss = point.loss;
  if (!std::isfinite(first_loss)) {
    throw ValueError(
        fmt::format("Lbfgs: the loss is {}; look for numbers in the data, the weights or the loss that are "
                    "not finite",
                    first_loss));
  }
  int64_t evaluations = 1;
  for (int64_t i = 0; i < options_.max_iter; ++i) {
    if (largest_of(point.gradient) <= options_.tolerance_grad) break;
    if (iterations_ > 0) {
      Pair pair{direction_, point.gradient};
      for (double& value : pair.step) value *= length_;
      add_scaled(pair.change, -1, last_gradient_);
      const double curvature = dot_of(pair.change, pair.step);
      if (curvature > 1e-10) {
        scale_ = curvature / dot_of(pair.change, pair.change);
        history_.push_back(std::move(pair));
        if (std::ssize(history_) > options_.history_size) history_.pop_front();
      }
    }
    direction_ = direction_of(point.gradient);
    last_gradient_ = point.gradient;
    double sum = 0;
    for (const double value : point.gradient) sum += std::abs(value);
    const double slope = dot_of(point.gradient, direction_), before = point.loss;
    length_ = iterations_ == 0 ? std::min(1.0, 1 / sum) * options_.lr : options_.lr;
    ++iterations_;
    if (slope > -options_.tolerance_change) {
      // No way down: nothing moves, so the next change has no length.
      length_ = 0;
      break;
    }
    const Vector from = values();
    if (options_.strong_wolfe) {
      length_ = search(closure, from, direction_, length_, point, evaluations);
    } else if (i + 1 < options_.max_iter) {
      point = evaluate(closure, from, direction_, length_);
      ++evaluations;
    } else {
      Vector at = from;
      add_scaled(at, length_, direction_);
      set_values(at);
      break;
    }
    if (evaluations >= options_.max_eval || largest_of(direction_) * length_ <= options_.tolerance_change ||
        std::abs(point.loss - before) < options_.tolerance_change) {
      break;
    }
  }
  return first_loss;
}

StateDict Lbfgs::state_dict() const {
  StateDict state{{"iterations", integer_state(iterations_)},
                  {"scale", number_state(scale_)},
                  {"length", number_state(length_)},
                  {"pairs", integer_state(std::ssize(history_))}};
  if (iterations_ > 0) {
    state["direction"] = vector_state(direction_);
    state["last_gradient"] = vector_state(last_gradient_);
  }
  for (size_t i = 0; i < history_.size(); ++i) {
    state[fmt::format("history.{}.step", i)] = vector_state(history_[i].step);
    state[fmt::format("history.{}.change", i)] = vector_state(history_[i].change);
  }
  return state;
}

void Lbfgs::load_state_dict(const StateDict& state) {
  StateReader from("Lbfgs: load_state_dict", state);
  int64_t size = 0;
  for (const Tensor& parameter : parameters_) size += parameter.numel();
  const auto vector = [&](const std::string& name) {
    const Tensor found = from.tensor(name, {size}, DType::f64);
    return found.defined() ? Vector(found.data<double>(), found.data<double>() + size) : Vector();
  };
  const int64_t iterations = from.integer("iterations", 0), pairs = from.integer("pairs", 0);
  const double scale = from.number("scale"), length = from.number("length");
  Vector direction, last_gradient;
  if (iterations > 0) direction = vector("direction"), last_gradient = vector("last_gradient");
  std::deque<Pair> history;
  for (int64_t i = 0; i < pairs && from.has(fmt::format("history.{}.step", i)); ++i) {
    history.push_back({vector(fmt::format("history.{}.step", i)), vector(fmt::format("history.{}.change", i))});
  }
  if (std::ssize(history) != pairs) from.mismatch(fmt::format("{} of {} pairs of the history", history.size(), pairs));
  from.finish();
  iterations_ = iterations;
  scale_ = scale;
  length_ = length;
  direction_ = std::move(direction);
  last_gradient_ = std::move(last_gradient);
  history_ = std::move(history);
}

}  // namespace qing::optim
