// Loss scaling (Micikevicius et al. 2018), with the semantics of torch.amp.GradScaler.
//
// Where it helps here: qing computes in f32 and f64, whose gradients rarely underflow. A loss whose backward passes
// through values rounded to f16 or bf16 (a model trained for such a storage, an operation with a narrow intermediate)
// does, and a run that meets an infinity or NaN now and then goes on by skipping those steps.
#pragma once

#include <qing/optim/optimizer_base.h>

#include <cstdint>
#include <map>

namespace qing::optim {

/// The scale stays between these, where scaled losses and gradients have room in f32 on either side. Without bounds it
/// would reach 0 or infinity in f32, or its inverse would: a step would write NaN into the weights, or change nothing.
inline constexpr double kLeastScale = 0x1p-64, kGreatestScale = 0x1p64;

struct GradScalerOptions {
  double init_scale = 65536;       ///< from kLeastScale to kGreatestScale
  double growth_factor = 2;        ///< above 1
  double backoff_factor = 0.5;     ///< in (0, 1)
  int64_t growth_interval = 2000;  ///< steps without an infinity or NaN after which the scale grows
};

/// backward(scaler.scale(loss)); [scaler.unscale(optimizer); clip ...;] scaler.step(optimizer); scaler.update();
/// With several optimizers unscale and step each, then update once; they outlive the update.
class GradScaler : public Stateful {
 public:
  explicit GradScaler(GradScalerOptions options = {});  ///< ValueError on options out of range
  double scale() const { return scale_; }
  Tensor scale(const Tensor& loss) const;  ///< loss·scale, recorded
  /// Divides the optimizer's gradients by the scale, so that they can be clipped. ValueError when it was unscaled or
  /// stepped since update().
  void unscale(Optimizer& optimizer);
  /// Unscales unless done, then steps the optimizer, or skips it (returns false) when a gradient of its own is not
  /// finite. ValueError when it was stepped since update().
  bool step(Optimizer& optimizer);
  /// Shrinks the scale when any optimizer had a gradient that is not finite, grows it after enough updates where none
  /// had; it stays within its bounds. ValueError when none was unscaled or stepped.
  void update();

  StateDict state_dict() const override;  ///< "scale", "growth_tracker"; between update() and the next backward
  void load_state_dict(const StateDict& state) override;

 private:
  struct Unscaled {
    bool found_inf, stepped;
  };
  GradScalerOptions options_;
  double scale_;
  int64_t good_steps_ = 0;
  std::map<const Optimizer*, Unscaled> unscaled_;  // since update()
};

}  // namespace qing::optim
