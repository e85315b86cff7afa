#include <fmt/format.h>
#include <qing/autograd/ops.h>
#include <qing/optim/clip.h>
#include <qing/optim/grad_scaler.h>

#include <cmath>

namespace qing::optim {

GradScaler::GradScaler(GradScalerOptions options) : options_(options), scale_(options.init_scale) {
  const auto check = [](bool good, const char* what, double value, const char* need) {
    if (!good) throw ValueError(fmt::format("GradScaler: {} is {}; it must be {}", what, value, need));
  };
  check(std::isfinite(options.init_scale) && options.init_scale > 0, "init_scale", options.init_scale, "above 0");
  check(std::isfinite(options.growth_factor) && options.growth_factor > 1, "growth_factor", options.growth_factor,
        "above 1");
  check(options.backoff_factor > 0 && options.backoff_factor < 1, "backoff_factor", options.backoff_factor,
        "in (0, 1)");
  check(options.growth_interval > 0, "growth_interval", static_cast<double>(options.growth_interval), "above 0");
}

Tensor GradScaler::scale(const Tensor& loss) const { return mul(loss, Tensor::full({}, scale_, loss.dtype())); }

void GradScaler::unscale(Optimizer& optimizer) {
  if (unscaled_) throw ValueError("GradScaler: unscale() was called twice; call update() after each step");
  const std::vector<Tensor> parameters = optimizer.parameters();
  found_inf_ = !grads_are_finite(parameters);
  if (!found_inf_) scale_grad(parameters, 1 / scale_);
  unscaled_ = true;
}

bool GradScaler::step(Optimizer& optimizer) {
  if (!unscaled_) unscale(optimizer);
  if (!found_inf_) optimizer.step();
  return !found_inf_;
}

void GradScaler::update() {
  if (!unscaled_) throw ValueError("GradScaler: update() comes after step()");
  if (found_inf_) {
    scale_ *= options_.backoff_factor;
    good_steps_ = 0;
  } else if (++good_steps_ == options_.growth_interval) {
    if (std::isfinite(scale_ * options_.growth_factor)) scale_ *= options_.growth_factor;
    good_steps_ = 0;
  }
  unscaled_ = found_inf_ = false;
}

StateDict GradScaler::state_dict() const {
  return {{"scale", number_state(scale_)}, {"growth_tracker", integer_state(good_steps_)}};
}

void GradScaler::load_state_dict(const StateDict& state) {
  StateReader from("GradScaler: load_state_dict", state);
  const double scale = from.number("scale");
  const int64_t good = from.integer("growth_tracker", 0);
  if (!(std::isfinite(scale) && scale > 0)) from.mismatch(fmt::format("scale is {}, needs to be above 0", scale));
  from.finish();
  scale_ = scale;
  good_steps_ = good;
  unscaled_ = found_inf_ = false;
}

}  // namespace qing::optim
