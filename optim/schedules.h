// Learning rate schedules as pure functions of a group's base rate and the step. Steps count from 0. Each factory
// throws ValueError for arguments out of range. The returned schedule has no state, so any thread may ask for any step
// in any order. LrScheduler (lr_scheduler.h) applies schedules to an optimizer.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace qing::optim {

/// (base rate, step) to rate.
using Schedule = std::function<double(double base, int64_t step)>;

// --- as in torch.optim.lr_scheduler ---
/// base·factor before total_iters, then base. With total_iters 0 the rate is base at once; torch's ConstantLR keeps the
/// factor there.
Schedule constant_lr(double factor = 1.0 / 3, int64_t total_iters = 5);
Schedule linear_lr(double start_factor = 1.0 / 3, double end_factor = 1, int64_t total_iters = 5);
Schedule step_lr(int64_t step_size, double gamma = 0.1);                      ///< base·γ^⌊step/step_size⌋
Schedule multi_step_lr(std::vector<int64_t> milestones, double gamma = 0.1);  ///< ascending
Schedule exponential_lr(double gamma);
Schedule polynomial_lr(int64_t total_iters = 5, double power = 1);  ///< base·(1 − step/total_iters)^power
/// eta_min + (base − eta_min)·(1 + cos(π·step/T_max))/2 (Loshchilov & Hutter 2017). It keeps oscillating after
/// T_max.
Schedule cosine_annealing_lr(int64_t t_max, double eta_min = 0);
/// The same, restarted from the base rate after t_0 steps, then after t_0·t_mult, ...
Schedule cosine_annealing_warm_restarts(int64_t t_0, int64_t t_mult = 1, double eta_min = 0);

enum class Anneal { cosine, linear };
struct OneCycleOptions {
  double max_lr;        ///< absolute: the group's base rate does not matter
  int64_t total_steps;  ///< the last step is total_steps − 1; later ones stay there
  double pct_start = 0.3;
  Anneal anneal = Anneal::cosine;
  double base_momentum = 0.85, max_momentum = 0.95;
  double div_factor = 25;         ///< the first rate is max_lr/div_factor
  double final_div_factor = 1e4;  ///< the last is the first divided by this
  bool three_phase = false;       ///< falls to the first rate in as many steps as the rise took, then to the last
};
/// Smith & Topin 2018.
Schedule one_cycle_lr(const OneCycleOptions& options);
Schedule one_cycle_momentum(const OneCycleOptions& options);  ///< the matching momentum; ignores the base

/// The first schedule before milestones[0], then the second from its step 0, and so on. Milestones ascend; there is one
/// fewer than schedules.
Schedule sequential_lr(std::vector<Schedule> schedules, std::vector<int64_t> milestones);
/// The result of each schedule is the base of the next, so factors multiply.
Schedule chained(std::vector<Schedule> schedules);

// --- as transformers.get_*_schedule: a linear rise over `warmup` steps from 0, then ... ---
Schedule constant_with_warmup(int64_t warmup);               ///< with 0: constant
Schedule linear_with_warmup(int64_t warmup, int64_t total);  ///< base·(total − step)/(total − warmup), 0 from total
/// cycles 0.5: half a cosine, down to 0 at total.
Schedule cosine_with_warmup(int64_t warmup, int64_t total, double cycles = 0.5);
Schedule cosine_with_hard_restarts(int64_t warmup, int64_t total, double cycles = 1);
/// lr_end from total on, also where warmup equals total; transformers divides by zero there.
Schedule polynomial_with_warmup(int64_t warmup, int64_t total, double lr_end = 1e-7, double power = 1);

/// The share of the peak learning rate at `step` of `total`. It rises linearly over the first `warmup` steps, the last
/// of which has the peak, and falls linearly to 0 at `total`. Unlike linear_with_warmup it wastes no step on a rate of
/// 0.
double linear_warmup_decay(int64_t step, int64_t warmup, int64_t total);
/// The same with half a cosine in the place of the linear fall (Loshchilov & Hutter 2017).
double cosine_warmup_decay(int64_t step, int64_t warmup, int64_t total);

/// The same rise, and then √(warmup / (step + 1)): the schedule of Vaswani et al. 2017, section 5.3, relative to its
/// peak. A warm-up of 0 counts as 1.
double inverse_sqrt_decay(int64_t step, int64_t warmup);

/// How the learning rate falls after its warm-up.
enum class WarmupDecay { linear, cosine, inverse_sqrt };
/// One of the three above.
double warmup_decay(WarmupDecay decay, int64_t step, int64_t warmup, int64_t total);

}  // namespace qing::optim
