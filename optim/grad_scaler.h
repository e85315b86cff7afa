// Loss scaling (Micikevicius et al. 2018), with the semantics of torch.amp.GradScaler.
//
// Where it helps here: qing computes in f32 and f64, whose gradients rarely underflow. A loss whose backward passes
// through values rounded to f16 or bf16 (a model trained for such a storage, an operation with a narrow intermediate)
// does, and a run that meets an infinity or NaN now and then goes on by skipping those steps.
#pragma once

#include <qing/optim/optimizer_base.h>

#include <cstdint>

namespace qing::optim {

struct GradScalerOptions {
  double init_scale = 65536;
  double growth_factor = 2;        ///< above 1
  double backoff_factor = 0.5;     ///< in (0, 1)
  int64_t growth_interval = 2000;  ///< steps without an infinity or NaN after which the scale grows
};

/// backward(scaler.scale(loss)); [scaler.unscale(optimizer); clip ...;] scaler.step(optimizer); scaler.update();
class GradScaler : public Stateful {
 public:
  explicit GradScaler(GradScalerOptions options = {});  ///< ValueError on options out of range
  double scale() const { return scale_; }
  Tensor scale(const Tensor& loss) const;  ///< loss·scale, recorded
  /// Divides the gradients by the scale, so that they can be clipped. ValueError when called twice before update().
  void unscale(Optimizer& optimizer);
  /// Unscales unless done, then steps the optimizer, or skips it (returns false) when a gradient is not finite.
  bool step(Optimizer& optimizer);
  /// Shrinks the scale when a step was skipped, grows it after enough that were not.
  void update();

  StateDict state_dict() const override;  ///< "scale", "growth_tracker"; between update() and the next backward
  void load_state_dict(const StateDict& state) override;

 private:
  GradScalerOptions options_;
  double scale_;
  int64_t good_steps_ = 0;
  bool unscaled_ = false, found_inf_ = false;
};

}  // namespace qing::optim
