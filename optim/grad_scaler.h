// Loss scaling (Micikevicius et al. 2018), with the semantics of torch.amp.GradScaler.
//
// When it helps: qing computes in f32 and f64, whose gradients rarely underflow. Gradients do underflow when backward()
// passes through values rounded to f16 or bf16 (a model trained for such storage, an operation with a narrow
// intermediate). A run that occasionally meets an infinity or NaN continues by skipping those steps.
#pragma once

#include <qing/optim/optimizer_base.h>

#include <cstdint>
#include <map>

namespace qing::optim {

/// Bounds of the scale. Within them, scaled losses and gradients have room in f32 on either side. Without bounds the
/// scale or its inverse would reach 0 or infinity in f32, and a step would write NaN into the weights or change
/// nothing.
inline constexpr double kLeastScale = 0x1p-64, kGreatestScale = 0x1p64;

struct GradScalerOptions {
  double init_scale = 65536;       ///< from kLeastScale to kGreatestScale
  double growth_factor = 2;        ///< above 1
  double backoff_factor = 0.5;     ///< in (0, 1)
  int64_t growth_interval = 2000;  ///< steps without an infinity or NaN after which the scale grows
};

/// backward(scaler.scale(loss)); [scaler.unscale(optimizer); clip ...;] scaler.step(optimizer); scaler.update();
/// With several optimizers, unscale and step each one, then update once. The optimizers must live until update()
/// returns. Not thread-safe.
class GradScaler : public Stateful {
 public:
  explicit GradScaler(GradScalerOptions options = {});  ///< ValueError on options out of range
  double scale() const { return scale_; }
  Tensor scale(const Tensor& loss) const;  ///< loss·scale, recorded
  /// Divides the optimizer's gradients by the scale, so that they can be clipped. ValueError when the optimizer was
  /// already unscaled or stepped since update().
  void unscale(Optimizer& optimizer);
  /// Unscales the gradients unless that is done, then steps the optimizer. Skips the step and returns false when one of
  /// the optimizer's gradients is not finite. ValueError when the optimizer was already stepped since update().
  bool step(Optimizer& optimizer);
  /// Shrinks the scale when any optimizer had a gradient that is not finite. Grows it after enough updates without one.
  /// The scale stays within its bounds. ValueError when no optimizer was unscaled or stepped.
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
