#include <qing/optim/lr_scheduler.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace qing::optim {

LrScheduler::LrScheduler(Optimizer& optimizer, const Schedule& schedule, Schedule momentum)
    : LrScheduler(optimizer, std::vector<Schedule>(optimizer.group_count(), schedule), std::move(momentum)) {}

LrScheduler::LrScheduler(Optimizer& optimizer, std::vector<Schedule> schedules, Schedule momentum)
    : optimizer_(optimizer), schedules_(std::move(schedules)), momentum_(std::move(momentum)) {
  if (schedules_.size() != optimizer_.group_count()) {
    throw ValueError(fmt::format("LrScheduler: {} schedules for {} groups; give one for each, or one for all",
                                 schedules_.size(), optimizer_.group_count()));
  }
  for (const Schedule& schedule : schedules_) {
    if (!schedule) throw ValueError("LrScheduler: a schedule is empty");
  }
  for (size_t group = 0; group < schedules_.size(); ++group) {
    base_.push_back(optimizer_.lr(group));
    if (momentum_) base_momentum_.push_back(optimizer_.momentum(group));
  }
  apply();
}

void LrScheduler::apply() {
  for (size_t group = 0; group < schedules_.size(); ++group) {
    optimizer_.set_lr(group, schedules_[group](base_[group], step_));
    if (momentum_) optimizer_.set_momentum(group, momentum_(base_momentum_[group], step_));
  }
}

void LrScheduler::step() {
  ++step_;
  apply();
}

StateDict LrScheduler::state_dict() const {
  StateDict dict;
  dict["step"] = integer_state(step_);
  for (size_t group = 0; group < base_.size(); ++group)
    dict[fmt::format("base_lr.{}", group)] = number_state(base_[group]);
  for (size_t group = 0; group < base_momentum_.size(); ++group)
    dict[fmt::format("base_momentum.{}", group)] = number_state(base_momentum_[group]);
  return dict;
}

void LrScheduler::load_state_dict(const StateDict& state) {
  StateReader from("LrScheduler: load_state_dict", state);
  const int64_t step = from.integer("step", 0);
  std::vector<double> base, momentum = base_momentum_;
  for (size_t group = 0; group < base_.size(); ++group) {
    base.push_back(from.number(fmt::format("base_lr.{}", group)));
    if (!(std::isfinite(base.back()) && base.back() >= 0)) {
      from.mismatch(fmt::format("base_lr.{} is {}, needs at least 0", group, base.back()));
    }
  }
  for (size_t group = 0; group < momentum.size(); ++group) {
    const std::string name = fmt::format("base_momentum.{}", group);
    if (!from.has(name)) continue;
    momentum[group] = from.number(name);
    if (!(momentum[group] >= 0 && momentum[group] < 1)) {
      from.mismatch(fmt::format("{} is {}, needs to be in [0, 1)", name, momentum[group]));
    }
  }
  from.finish();
  step_ = step;
  base_ = std::move(base);
  base_momentum_ = std::move(momentum);
}

ReduceLrOnPlateau::ReduceLrOnPlateau(Optimizer& optimizer, PlateauOptions options)
    : optimizer_(optimizer),
      options_(options),
      best_(options.maximize ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity()) {
  const auto check = [](bool good, const char* what, auto value, const char* need) {
    if (!good) throw ValueError(fmt::format("ReduceLrOnPlateau: {} is {}; it must be {}", what, value, need));
  };
  check(options.factor >= 0 && options.factor < 1, "factor", options.factor, "in [0, 1)");
  check(options.patience >= 0, "patience", options.patience, "at least 0");
  check(options.cooldown >= 0, "cooldown", options.cooldown, "at least 0");
  check(options.threshold >= 0, "threshold", options.threshold, "at least 0");
  check(options.min_lr >= 0, "min_lr", options.min_lr, "at least 0");
  check(options.eps >= 0, "eps", options.eps, "at least 0");
}

bool ReduceLrOnPlateau::improves(double metric) const {
  const double sign = options_.maximize ? 1 : -1;
  const double bar = options_.relative ? best_ * (1 + sign * options_.threshold) : best_ + sign * options_.threshold;
  return options_.maximize ? metric > bar : metric < bar;
}

void ReduceLrOnPlateau::step(double metric) {
  const bool better = improves(metric);
  if (better) best_ = metric;
  bad_steps_ = better ? 0 : bad_steps_ + 1;
  if (cooldown_ > 0) {
    --cooldown_;
    bad_steps_ = 0;
  }
  if (bad_steps_ <= options_.patience) return;
  for (size_t group = 0; group < optimizer_.group_count(); ++group) {
    const double old = optimizer_.lr(group), reduced = std::max(old * options_.factor, options_.min_lr);
    if (old - reduced > options_.eps) optimizer_.set_lr(group, reduced);
  }
  cooldown_ = options_.cooldown;
  bad_steps_ = 0;
}

StateDict ReduceLrOnPlateau::state_dict() const {
  return {
      {"best", number_state(best_)}, {"bad_steps", integer_state(bad_steps_)}, {"cooldown", integer_state(cooldown_)}};
}

void ReduceLrOnPlateau::load_state_dict(const StateDict& state) {
  StateReader from("ReduceLrOnPlateau: load_state_dict", state);
  const double best = from.number("best");
  const int64_t bad = from.integer("bad_steps", 0), cooldown = from.integer("cooldown", 0);
  from.finish();
  best_ = best;
  bad_steps_ = bad;
  cooldown_ = cooldown;
}

}  // namespace qing::optim
