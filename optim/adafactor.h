// Adafactor (Shazeer & Stern 2018): Adam's second moments of a matrix, kept as one number for each row and column.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <qing/optim/optimizer_base.h>

namespace qing::optim {

/// Options and defaults of torch.optim.Adafactor.
struct AdafactorOptions {
  static constexpr const char* kName = "Adafactor";

  double lr = 1e-2;           ///< the largest relative size of a step
  double beta2_decay = -0.8;  ///< the second moments keep the share 1 − t^beta2_decay at step t
  double eps1 = 0;            ///< least root of a second moment; 0: the machine epsilon of the parameter's dtype
  double eps2 = 1e-3;         ///< least root mean square of a parameter, for the size of its step
  double d = 1;               ///< largest root mean square of an update (clipping)
  double weight_decay = 0;    ///< decoupled
  bool maximize = false;

  template <class Visitor> void visit(Visitor& option) {
    option.number("lr", lr, OptionBounds::not_negative);
    option.number("beta2_decay", beta2_decay, OptionBounds::not_positive);
    option.number("eps1", eps1, OptionBounds::not_negative);
    option.number("eps2", eps2, OptionBounds::not_negative);
    option.number("d", d, OptionBounds::not_negative);
    option.number("weight_decay", weight_decay, OptionBounds::not_negative);
    option.flag("maximize", maximize);
  }
};

/// θ ← (1−lr·λ)·θ − max(ε₂, RMS(θ))·min(lr, 1/√t)·u / max(1, RMS(u)/d), where u = g/√v. A parameter with one
/// dimension keeps v, the moving average of g². For a matrix, v is the product of the averages of its rows and of its
/// columns, divided by the mean of those of the rows; a parameter with more dimensions is a batch of matrices. RMS(θ)
/// is that before the decay. States take rows + columns numbers for a matrix. A step reads the gradient three times.
/// Not thread-safe. ValueError for an option out of range, d below 1, and parameters that add_group() refuses.
class Adafactor final : public Optimizer {
 public:
  using Options = AdafactorOptions;
  using Groups = std::vector<ParameterGroup<AdafactorOptions>>;

  explicit Adafactor(std::vector<Tensor> parameters, AdafactorOptions options = {})
      : Adafactor(Groups{{std::move(parameters), options}}) {}
  explicit Adafactor(const Groups& groups);

  const AdafactorOptions& options(size_t group = 0) const { return options_.at(group); }

 private:
  void visit_options(size_t group, OptionVisitor& visitor) override { options_[group].visit(visitor); }
  const char* conflict(size_t group) const override { return options_[group].d < 1 ? "d must be at least 1" : nullptr; }
  bool uses_slot(size_t, size_t) const override { return true; }
  std::optional<Shape> slot_shape(size_t group, size_t slot, const Shape& parameter) const override;
  double initial_slot(size_t) const override { return 0; }
  bool skips_zeros(size_t) const override { return false; }
  bool updates_whole() const override { return true; }
  void update_whole(size_t group, const Whole& whole) const override;

  std::vector<AdafactorOptions> options_;
};

}  // namespace qing::optim
