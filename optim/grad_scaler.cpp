#include <qing/optim/grad_scaler.h>

#include <fmt/format.h>
#include <qing/autograd/ops.h>
#include <qing/optim/clip.h>

#include <algorithm>
#include <cmath>

namespace qing::optim {

GradScaler::GradScaler(GradScalerOptions options) : options_(options), scale_(options.init_scale) {
  const auto check = [](bool good, const char* what, double value, const char* need) {
    if (!good) throw ValueError(fmt::format("GradScaler: {} is {}; it must be {}", what, value, need));
  };
  check(options.init_scale >= kLeastScale && options.init_scale <= kGreatestScale, "init_scale", options.init_scale,
        "from 2^-64 to 2^64");
  check(std::isfinite(options.growth_factor) && options.growth_factor > 1, "growth_factor", options.growth_factor,
        "above 1");
  check(options.backoff_factor > 0 && options.backoff_factor < 1, "backoff_factor", options.backoff_factor,
        "in (0, 1)");
  check(options.growth_interval > 0, "growth_interval", static_cast<double>(options.growth_interval), "above 0");
}

Tensor GradScaler::scale(const Tensor& loss) const { return mul(loss, Tensor::full({}, scale_, loss.dtype())); }

void GradScaler::unscale(Optimizer& optimizer) {
  if (unscaled_.count(&optimizer) > 0) {
    throw ValueError("GradScaler: unscale() of an optimizer that was unscaled; call update() after its step");
  }
  const std::vector<Tensor> parameters = optimizer.parameters();
  const bool found_inf = !grads_are_finite(parameters);
  if (!found_inf) scale_grad(parameters, 1 / scale_);
  unscaled_[&optimizer] = {.found_inf = found_inf, .stepped = false};
}

bool GradScaler::step(Optimizer& optimizer) {
  if (unscaled_.count(&optimizer) == 0) unscale(optimizer);
  Unscaled& own = unscaled_.at(&optimizer);
  if (own.stepped) throw ValueError("GradScaler: step() of an optimizer that was stepped; call update() between");
  if (!own.found_inf) optimizer.step();
  own.stepped = true;
  return !own.found_inf;
}

void GradScaler::update() {
  if (unscaled_.empty()) throw ValueError("GradScaler: update() comes after step()");
  if (std::any_of(unscaled_.begin(), unscaled_.end(), [](const auto& entry) { return entry.second.found_inf; })) {
    scale_ = std::max(scale_ * options_.backoff_factor, kLeastScale);
    good_steps_ = 0;
  } else if (++good_steps_ >= options_.growth_interval) {  // greater if the count was saved with a longer interval
    scale_ = std::min(scale_ * options_.growth_factor, kGreatestScale);
    good_steps_ = 0;
  }
  unscaled_.clear();
}

StateDict GradScaler::state_dict() const {
  return {{"scale", number_state(scale_)}, {"growth_tracker", integer_state(good_steps_)}};
}

void GradScaler::load_state_dict(const StateDict& state) {
  StateReader from("GradScaler: load_state_dict", state);
  const double scale = from.number("scale");
  const int64_t good = from.integer("growth_tracker", 0);
  if (!(scale >= kLeastScale && scale <= kGreatestScale)) {
    from.mismatch(fmt::format("scale is {}, needs to be from 2^-64 to 2^64", scale));
  }
  from.finish();
  scale_ = scale;
  good_steps_ = good;
  unscaled_.clear();
}

}  // namespace qing::optim
