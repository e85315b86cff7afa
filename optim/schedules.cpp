#include <qing/optim/schedules.h>

#include <fmt/format.h>
#include <qing/tensor/errors.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace qing::optim {
namespace {

void check(bool good, const char* op, const char* what, double value, const char* need) {
  if (!good) throw ValueError(fmt::format("{}: {} is {}; it must be {}", op, what, value, need));
}

void check_count(const char* op, const char* what, int64_t value, int64_t low) {
  if (value < low) throw ValueError(fmt::format("{}: {} is {}; it must be at least {}", op, what, value, low));
}

void check_positive(const char* op, const char* what, double value) {
  check(std::isfinite(value) && value > 0, op, what, value, "above 0");
}

void check_not_negative(const char* op, const char* what, double value) {
  check(std::isfinite(value) && value >= 0, op, what, value, "at least 0");
}

void check_ascending(const char* op, const std::vector<int64_t>& milestones) {
  if (!std::is_sorted(milestones.begin(), milestones.end()) || (!milestones.empty() && milestones.front() < 0)) {
    throw ValueError(fmt::format("{}: the milestones {} must be ascending, from 0", op, fmt::join(milestones, ", ")));
  }
}

double ratio(int64_t a, int64_t b) { return static_cast<double>(a) / static_cast<double>(std::max<int64_t>(1, b)); }

double half_cosine(double share) { return (1 + std::cos(std::numbers::pi * share)) / 2; }

// A linear warm-up over `warmup` steps, then `after(base, step)`.
template <class After> Schedule warm_up(const char* op, int64_t warmup, int64_t total, After after) {
  check_count(op, "warmup", warmup, 0);
  check_count(op, "total", total, 0);
  return [=](double base, int64_t step) { return step < warmup ? base * ratio(step, warmup) : after(base, step); };
}

}  // namespace

Schedule constant_lr(double factor, int64_t total_iters) {
  check_not_negative("constant_lr", "factor", factor);
  check_count("constant_lr", "total_iters", total_iters, 0);
  return [=](double base, int64_t step) { return step < total_iters ? base * factor : base; };
}

Schedule linear_lr(double start_factor, double end_factor, int64_t total_iters) {
  check_positive("linear_lr", "start_factor", start_factor);
  check_not_negative("linear_lr", "end_factor", end_factor);
  check_count("linear_lr", "total_iters", total_iters, 1);
  return [=](double base, int64_t step) {
    return base * (start_factor + (end_factor - start_factor) * ratio(std::min(step, total_iters), total_iters));
  };
}

Schedule step_lr(int64_t step_size, double gamma) {
  check_count("step_lr", "step_size", step_size, 1);
  check_not_negative("step_lr", "gamma", gamma);
  return [=](double base, int64_t step) {
    const int64_t decays = step / step_size;
    return base * std::pow(gamma, static_cast<double>(decays));
  };
}

Schedule multi_step_lr(std::vector<int64_t> milestones, double gamma) {
  check_ascending("multi_step_lr", milestones);
  check_not_negative("multi_step_lr", "gamma", gamma);
  return [milestones = std::move(milestones), gamma](double base, int64_t step) {
    const auto passed = std::upper_bound(milestones.begin(), milestones.end(), step) - milestones.begin();
    return base * std::pow(gamma, static_cast<double>(passed));
  };
}

Schedule exponential_lr(double gamma) { return step_lr(1, gamma); }

Schedule polynomial_lr(int64_t total_iters, double power) {
  check_count("polynomial_lr", "total_iters", total_iters, 1);
  check_positive("polynomial_lr", "power", power);
  return [=](double base, int64_t step) {
    return base * std::pow(1 - ratio(std::min(step, total_iters), total_iters), power);
  };
}

Schedule cosine_annealing_lr(int64_t t_max, double eta_min) {
  check_count("cosine_annealing_lr", "t_max", t_max, 1);
  check_not_negative("cosine_annealing_lr", "eta_min", eta_min);
  return [=](double base, int64_t step) { return eta_min + (base - eta_min) * half_cosine(ratio(step, t_max)); };
}

Schedule cosine_annealing_warm_restarts(int64_t t_0, int64_t t_mult, double eta_min) {
  check_count("cosine_annealing_warm_restarts", "t_0", t_0, 1);
  check_count("cosine_annealing_warm_restarts", "t_mult", t_mult, 1);
  check_not_negative("cosine_annealing_warm_restarts", "eta_min", eta_min);
  return [=](double base, int64_t step) {
    int64_t length = t_0;
    if (t_mult == 1) step %= t_0;
    while (step >= length) {
      step -= length;
      length *= t_mult;
    }
    return eta_min + (base - eta_min) * half_cosine(ratio(step, length));
  };
}

namespace {

// The values of a one-cycle schedule at the ends of its phases, and the anneal between them.
Schedule one_cycle(const OneCycleOptions& o, std::vector<double> values) {
  const char* op = "one_cycle";
  check_count(op, "total_steps", o.total_steps, 1);
  check(o.pct_start >= 0 && o.pct_start <= 1, op, "pct_start", o.pct_start, "in [0, 1]");
  check_positive(op, "max_lr", o.max_lr);
  check_positive(op, "div_factor", o.div_factor);
  check_positive(op, "final_div_factor", o.final_div_factor);
  check(o.base_momentum >= 0 && o.base_momentum < 1, op, "base_momentum", o.base_momentum, "in [0, 1)");
  check(o.max_momentum >= 0 && o.max_momentum < 1, op, "max_momentum", o.max_momentum, "in [0, 1)");
  const double rise = o.pct_start * static_cast<double>(o.total_steps), last = static_cast<double>(o.total_steps) - 1;
  std::vector<double> ends = {0, rise - 1};
  if (o.three_phase) ends.push_back(2 * rise - 2);
  ends.push_back(last);
  return [ends = std::move(ends), values = std::move(values), last, anneal = o.anneal](double, int64_t at) {
    const double step = std::min(static_cast<double>(at), last);
    size_t phase = 1;
    while (phase + 1 < ends.size() && step > ends[phase]) ++phase;
    const double length = ends[phase] - ends[phase - 1], from = values[phase - 1], to = values[phase];
    const double share = length != 0 ? (step - ends[phase - 1]) / length : 1;
    return anneal == Anneal::cosine ? to + (from - to) * half_cosine(share) : (to - from) * share + from;
  };
}

}  // namespace

Schedule one_cycle_lr(const OneCycleOptions& o) {
  const double first = o.max_lr / o.div_factor, last = first / o.final_div_factor;
  if (o.three_phase) return one_cycle(o, {first, o.max_lr, first, last});
  return one_cycle(o, {first, o.max_lr, last});
}

Schedule one_cycle_momentum(const OneCycleOptions& o) {
  if (o.three_phase) return one_cycle(o, {o.max_momentum, o.base_momentum, o.max_momentum, o.max_momentum});
  return one_cycle(o, {o.max_momentum, o.base_momentum, o.max_momentum});
}

Schedule sequential_lr(std::vector<Schedule> schedules, std::vector<int64_t> milestones) {
  check_ascending("sequential_lr", milestones);
  if (schedules.empty() || schedules.size() != milestones.size() + 1) {
    throw ValueError(fmt::format("sequential_lr: {} schedules and {} milestones; it needs one milestone less",
                                 schedules.size(), milestones.size()));
  }
  return [schedules = std::move(schedules), milestones = std::move(milestones)](double base, int64_t step) {
    const auto next = std::upper_bound(milestones.begin(), milestones.end(), step);
    const int64_t start = next == milestones.begin() ? 0 : *(next - 1);
    return schedules[static_cast<size_t>(next - milestones.begin())](base, step - start);
  };
}

Schedule chained(std::vector<Schedule> schedules) {
  if (schedules.empty()) throw ValueError("chained: there are no schedules");
  return [schedules = std::move(schedules)](double base, int64_t step) {
    for (const Schedule& schedule : schedules) base = schedule(base, step);
    return base;
  };
}

Schedule constant_with_warmup(int64_t warmup) {
  return warm_up("constant_with_warmup", warmup, 0, [](double base, int64_t) { return base; });
}

Schedule linear_with_warmup(int64_t warmup, int64_t total) {
  return warm_up("linear_with_warmup", warmup, total, [=](double base, int64_t step) {
    return base * ratio(std::max<int64_t>(0, total - step), total - warmup);
  });
}

Schedule cosine_with_warmup(int64_t warmup, int64_t total, double cycles) {
  check_not_negative("cosine_with_warmup", "cycles", cycles);
  return warm_up("cosine_with_warmup", warmup, total, [=](double base, int64_t step) {
    return base * std::max(0.0, half_cosine(2 * cycles * ratio(step - warmup, total - warmup)));
  });
}

Schedule cosine_with_hard_restarts(int64_t warmup, int64_t total, double cycles) {
  check_not_negative("cosine_with_hard_restarts", "cycles", cycles);
  return warm_up("cosine_with_hard_restarts", warmup, total, [=](double base, int64_t step) {
    const double progress = ratio(step - warmup, total - warmup);
    return progress >= 1 ? 0.0 : base * half_cosine(std::fmod(cycles * progress, 1.0));
  });
}

Schedule polynomial_with_warmup(int64_t warmup, int64_t total, double lr_end, double power) {
  check_not_negative("polynomial_with_warmup", "lr_end", lr_end);
  check_positive("polynomial_with_warmup", "power", power);
  return warm_up("polynomial_with_warmup", warmup, total, [=](double base, int64_t step) {
    if (step >= total) return lr_end;
    return (base - lr_end) * std::pow(1 - ratio(step - warmup, total - warmup), power) + lr_end;
  });
}

double linear_warmup_decay(int64_t step, int64_t warmup, int64_t total) {
  if (step < warmup) return ratio(step + 1, warmup);
  return step >= total ? 0 : ratio(total - step, total - warmup);
}

double cosine_warmup_decay(int64_t step, int64_t warmup, int64_t total) {
  if (step < warmup) return ratio(step + 1, warmup);
  return step >= total ? 0 : (1 + std::cos(std::numbers::pi * ratio(step - warmup, total - warmup))) / 2;
}

double inverse_sqrt_decay(int64_t step, int64_t warmup) {
  const int64_t rise = std::max<int64_t>(warmup, 1);
  return step < rise ? ratio(step + 1, rise) : std::sqrt(ratio(rise, step + 1));
}

double warmup_decay(WarmupDecay decay, int64_t step, int64_t warmup, int64_t total) {
  switch (decay) {
    case WarmupDecay::linear: break;
    case WarmupDecay::cosine: return cosine_warmup_decay(step, warmup, total);
    case WarmupDecay::inverse_sqrt: return inverse_sqrt_decay(step, warmup);
  }
  return linear_warmup_decay(step, warmup, total);
}

}  // namespace qing::optim
