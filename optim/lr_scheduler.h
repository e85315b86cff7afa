// Schedules that set an optimizer's learning rates. The optimizer must outlive them.
#pragma once

#include <qing/optim/optimizer_base.h>
#include <qing/optim/schedules.h>

#include <cstdint>
#include <vector>

namespace qing::optim {

/// Sets the rates of all groups from pure schedules. The constructor sets the rates of step 0, and each step() those of
/// the next step. A group's base rate and base momentum are the ones it has at construction. Not thread-safe.
class LrScheduler : public Stateful {
 public:
  /// One schedule for all groups. `momentum`, if given, sets the groups' momentum (or beta1); see one_cycle_momentum.
  LrScheduler(Optimizer& optimizer, const Schedule& schedule, Schedule momentum = {});
  /// One schedule per group. ValueError when their number is not group_count().
  LrScheduler(Optimizer& optimizer, std::vector<Schedule> schedules, Schedule momentum = {});

  void step();   ///< Call it after the optimizer's step().
  void apply();  ///< Sets the rates of the current step, as after a state of another schedule was loaded.
  double lr(size_t group = 0) const { return optimizer_.lr(group); }
  int64_t last_step() const { return step_; }

  /// "step" and "base_lr.0", ... for the groups; with a momentum schedule also "base_momentum.0", .... A loaded state
  /// may lack the latter: the group's own base momentum stays then.
  StateDict state_dict() const override;
  /// Does not set the rates: they are the optimizer's state, and another schedule may have changed them since.
  void load_state_dict(const StateDict& state) override;

 private:
  Optimizer& optimizer_;
  std::vector<Schedule> schedules_;
  Schedule momentum_;
  std::vector<double> base_, base_momentum_;  // of the groups; the second is empty without a momentum schedule
  int64_t step_ = 0;
};

struct PlateauOptions {
  bool maximize = false;  ///< whether a greater metric is better (PyTorch's mode "max")
  double factor = 0.1;
  int64_t patience = 10;  ///< steps without improvement that are allowed
  double threshold = 1e-4;
  bool relative = true;  ///< an improvement exceeds threshold·best (PyTorch's threshold_mode "rel"), else threshold
  int64_t cooldown = 0;  ///< steps after a reduction that are not counted
  double min_lr = 0;
  double eps = 1e-8;  ///< smaller changes of the rate are not made
};

/// Multiplies the rates by `factor` when a metric has not improved for more than `patience` steps. Not
/// thread-safe.
class ReduceLrOnPlateau : public Stateful {
 public:
  explicit ReduceLrOnPlateau(Optimizer& optimizer,
                             PlateauOptions options = {});  ///< ValueError on options out of range

  void step(double metric);
  double best() const { return best_; }  ///< an infinity before the first step

  StateDict state_dict() const override;  ///< "best", "bad_steps", "cooldown"; the rates are the optimizer's state
  void load_state_dict(const StateDict& state) override;

 private:
  bool improves(double metric) const;

  Optimizer& optimizer_;
  PlateauOptions options_;
  double best_;
  int64_t bad_steps_ = 0, cooldown_ = 0;
};

}  // namespace qing::optim
