// Optimizers: they hold parameters in groups and update them with the gradients that backward() left. Options, defaults
// and formulas are PyTorch's. g below is the gradient, negated when maximizing. Every constructor throws ValueError for
// an option out of range and for parameters that add_group (optimizer_base.h) refuses. Like every Optimizer, none is
// thread-safe.
//
// An optimizer is one struct of options in the form of grouped_optimizer.h and one line of AllOptimizers. Adafactor,
// whose states do not have the parameters' shape, has a header of its own.
#pragma once

#include <qing/optim/adafactor.h>
#include <qing/optim/grouped_optimizer.h>

#include <cmath>

namespace qing::optim {

struct SgdOptions {
  static constexpr const char* kName = "Sgd";
  static constexpr std::array kStates = {"momentum_buffer"};

  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;     ///< share of the gradient that the momentum leaves out
  double weight_decay = 0;  ///< λ: g + λ·θ takes the place of g (L2)
  bool nesterov = false;    ///< needs momentum > 0 and dampening = 0
  bool maximize = false;

  template <class Visitor> void visit(Visitor& option) {
    option.number("lr", lr, OptionBounds::not_negative);
    option.number("momentum", momentum, OptionBounds::not_negative);
    option.number("dampening", dampening, OptionBounds::not_negative);
    option.number("weight_decay", weight_decay, OptionBounds::not_negative);
    option.flag("nesterov", nesterov);
    option.flag("maximize", maximize);
  }
  const char* conflict() const {
    const bool conflicts = nesterov && (momentum == 0 || dampening != 0);
    return conflicts ? "nesterov needs a momentum above 0 and no dampening" : nullptr;
  }
  bool keeps_state(size_t) const { return momentum != 0; }
  bool skips_zeros() const { return momentum == 0 && weight_decay == 0; }
  template <class T> kernels::SgdStep<T> step(const StepCount& at) const {
    return {.lr = T(lr),
            .sign = T(maximize ? -at.scale : at.scale),
            .l2 = T(weight_decay),
            .momentum = T(momentum),
            .gradient_share = T(at.fresh ? 1 : 1 - dampening),
            .nesterov = nesterov};
  }
};

/// θ ← θ − α·g; with momentum v ← μ·v + (1−dampening)·g, where the first v is g, θ ← θ − α·v, or with Nesterov's
/// θ ← θ − α·(g + μ·v) (Sutskever et al. 2013).
using Sgd = GroupedOptimizer<SgdOptions>;

template <bool decoupled> struct AdamOptionsWith {
  static constexpr const char* kName = decoupled ? "AdamW" : "Adam";
  static constexpr std::array kStates = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"};

  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = decoupled ? 0.01 : 0;
  bool amsgrad = false;  ///< divide by the largest second moment so far (Reddi et al. 2018)
  bool maximize = false;
  bool decoupled_weight_decay = decoupled;  ///< θ ← (1−α·λ)·θ instead of L2 in the gradient
  /// Table rows that no id of this step selects keep their weights and moments, without decay, so the cost of a step
  /// depends on the selected rows only. Other parameters are not affected. Neither is a table whose gradient rows are
  /// not known (see row_grad(): another use of the table, grad(), a hook). This is PyTorch's SparseAdam, except that
  /// SparseAdam adds eps before it corrects the bias.
  bool lazy = false;

  template <class Visitor> void visit(Visitor& option) {
    option.number("lr", lr, OptionBounds::not_negative);
    option.number("beta1", beta1, OptionBounds::share);
    option.number("beta2", beta2, OptionBounds::share);
    option.number("eps", eps, OptionBounds::not_negative);
    option.number("weight_decay", weight_decay, OptionBounds::not_negative);
    option.flag("amsgrad", amsgrad);
    option.flag("maximize", maximize);
    option.flag("decoupled_weight_decay", decoupled_weight_decay);
    option.flag("lazy", lazy);
  }
  bool keeps_state(size_t state) const { return state < 2 || amsgrad; }
  bool skips_zeros() const { return lazy; }
  template <class T> kernels::AdamStep<T> step(const StepCount& at) const {
    const double c1 = 1 - std::pow(beta1, at.count), c2 = 1 - std::pow(beta2, at.count);
    return {.size = T(lr / c1),
            .sign = T(maximize ? -at.scale : at.scale),
            .l2 = T(decoupled_weight_decay ? 0 : weight_decay),
            .keep = T(decoupled_weight_decay ? 1 - lr * weight_decay : 1),
            .beta1 = T(beta1),
            .one_minus_beta1 = T(1 - beta1),
            .beta2 = T(beta2),
            .one_minus_beta2 = T(1 - beta2),
            .inverse_root_c2 = T(1 / std::sqrt(c2)),
            .eps = T(eps)};
  }
};
using AdamOptions = AdamOptionsWith<false>;
using AdamWOptions = AdamOptionsWith<true>;

/// Kingma & Ba 2015: m ← β₁·m + (1−β₁)·g, v ← β₂·v + (1−β₂)·g², θ ← θ − α·m̂ / (√v̂ + ε), where m̂ = m/(1−β₁ᵗ),
/// v̂ = v/(1−β₂ᵗ).
using Adam = GroupedOptimizer<AdamOptions>;
/// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
using AdamW = GroupedOptimizer<AdamWOptions>;

struct RAdamOptions {
  static constexpr const char* kName = "RAdam";
  static constexpr std::array kStates = {"exp_avg", "exp_avg_sq"};

  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool decoupled_weight_decay = false;  ///< θ ← (1−α·λ)·θ instead of L2 in the gradient
  bool maximize = false;

  template <class Visitor> void visit(Visitor& option) {
    option.number("lr", lr, OptionBounds::not_negative);
    option.number("beta1", beta1, OptionBounds::share);
    option.number("beta2", beta2, OptionBounds::share);
    option.number("eps", eps, OptionBounds::not_negative);
    option.number("weight_decay", weight_decay, OptionBounds::not_negative);
    option.flag("decoupled_weight_decay", decoupled_weight_decay);
    option.flag("maximize", maximize);
  }
  template <class T> kernels::RAdamStep<T> step(const StepCount& at) const {
    const double c1 = 1 - std::pow(beta1, at.count), power = std::pow(beta2, at.count), c2 = 1 - power;
    const double longest = 2 / (1 - beta2) - 1, length = longest - 2 * at.count * power / c2;
    const bool adaptive = length > 5;
    const double rectified =
        std::sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length));
    return {.size = T(adaptive ? lr / c1 * std::sqrt(c2) * rectified : lr / c1),
            .sign = T(maximize ? -at.scale : at.scale),
            .l2 = T(decoupled_weight_decay ? 0 : weight_decay),
            .keep = T(decoupled_weight_decay ? 1 - lr * weight_decay : 1),
            .beta1 = T(beta1),
            .one_minus_beta1 = T(1 - beta1),
            .beta2 = T(beta2),
            .one_minus_beta2 = T(1 - beta2),
            .eps = T(eps),
            .adaptive = adaptive};
  }
};

/// Liu et al. 2020: Adam that needs no warmup. With ρ∞ = 2/(1−β₂) − 1 and ρ = ρ∞ − 2·t·β₂ᵗ/(1−β₂ᵗ), the length of the
/// average behind v, θ ← θ − α·r·m̂ / ((√v + ε)/√(1−β₂ᵗ)) once ρ > 5, where r = √((ρ−4)·(ρ−2)·ρ∞ / ((ρ∞−4)·(ρ∞−2)·ρ));
/// before, θ ← θ − α·m̂.
using RAdam = GroupedOptimizer<RAdamOptions>;

struct NAdamOptions {
  static constexpr const char* kName = "NAdam";
  static constexpr std::array kStates = {"exp_avg", "exp_avg_sq"};

  double lr = 2e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum_decay = 4e-3;
  bool decoupled_weight_decay = false;  ///< θ ← (1−α·λ)·θ instead of L2 in the gradient
  bool maximize = false;

  template <class Visitor> void visit(Visitor& option) {
    option.number("lr", lr, OptionBounds::not_negative);
    option.number("beta1", beta1, OptionBounds::share);
    option.number("beta2", beta2, OptionBounds::share);
    option.number("eps", eps, OptionBounds::not_negative);
    option.number("weight_decay", weight_decay, OptionBounds::not_negative);
    option.number("momentum_decay", momentum_decay, OptionBounds::not_negative);
    option.flag("decoupled_weight_decay", decoupled_weight_decay);
    option.flag("maximize", maximize);
  }
  double momentum_at(double count) const { return beta1 * (1 - 0.5 * std::pow(0.96, count * momentum_decay)); }
  template <class T> kernels::NAdamStep<T> step(const StepCount& at) const {
    // 1 minus a smaller product is 1.
    double product = 1;
    for (double count = 1; count <= at.count && product > 0x1p-60; ++count) product *= momentum_at(count);
    const double now = momentum_at(at.count), next = momentum_at(at.count + 1);
    return {.gradient_size = T(lr * (1 - now) / (1 - product)),
            .moment_size = T(lr * next / (1 - product * next)),
            .sign = T(maximize ? -at.scale : at.scale),
            .l2 = T(decoupled_weight_decay ? 0 : weight_decay),
            .keep = T(decoupled_weight_decay ? 1 - lr * weight_decay : 1),
            .beta1 = T(beta1),
            .one_minus_beta1 = T(1 - beta1),
            .beta2 = T(beta2),
            .one_minus_beta2 = T(1 - beta2),
            .inverse_root_c2 = T(1 / std::sqrt(1 - std::pow(beta2, at.count))),
            .eps = T(eps)};
  }
};

/// Dozat 2016: Adam with Nesterov's momentum. With μₜ = β₁·(1 − 0.96^(t·momentum_decay)/2) and M = μ₁·…·μₜ, θ ← θ −
/// α·((1−μₜ)/(1−M)·g + μₜ₊₁/(1−M·μₜ₊₁)·m) / (√v̂ + ε). M is that of the present options: a schedule of beta1 changes all
/// of its factors, while PyTorch keeps those of earlier steps.
using NAdam = GroupedOptimizer<NAdamOptions>;

struct AdagradOptions {
  static constexpr const char* kName = "Adagrad";
  static constexpr std::array kStates = {"sum"};

  double lr = 1e-2;
  double lr_decay = 0;  ///< α/(1 + (t−1)·lr_decay) at step t
  double weight_decay = 0;
  double initial_accumulator_value = 0;
  double eps = 1e-10;
  bool maximize = false;

  template <class Visitor> void visit(Visitor& option) {
    option.number("lr", lr, OptionBounds::not_negative);
    option.number("lr_decay", lr_decay, OptionBounds::not_negative);
    option.number("weight_decay", weight_decay, OptionBounds::not_negative);
    option.number("initial_accumulator_value", initial_accumulator_value, OptionBounds::not_negative);
    option.number("eps", eps, OptionBounds::not_negative);
    option.flag("maximize", maximize);
  }
  double initial_state() const { return initial_accumulator_value; }
  bool skips_zeros() const { return weight_decay == 0; }
  template <class T> kernels::AdagradStep<T> step(const StepCount& at) const {
    return {.lr = T(lr / (1 + (at.count - 1) * lr_decay)),
            .sign = T(maximize ? -at.scale : at.scale),
            .l2 = T(weight_decay),
            .eps = T(eps)};
  }
};

/// Duchi et al. 2011: s ← s + g², θ ← θ − α·g / (√s + ε).
using Adagrad = GroupedOptimizer<AdagradOptions>;

struct RMSpropOptions {
  static constexpr const char* kName = "RMSprop";
  static constexpr std::array kStates = {"square_avg", "momentum_buffer", "grad_avg"};

  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;  ///< divide by the deviation instead of the root mean square
  bool maximize = false;

  template <class Visitor> void visit(Visitor& option) {
    option.number("lr", lr, OptionBounds::not_negative);
    option.number("alpha", alpha, OptionBounds::not_negative);
    option.number("eps", eps, OptionBounds::not_negative);
    option.number("weight_decay", weight_decay, OptionBounds::not_negative);
    option.number("momentum", momentum, OptionBounds::not_negative);
    option.flag("centered", centered);
    option.flag("maximize", maximize);
  }
  bool keeps_state(size_t state) const { return state == 0 || (state == 1 ? momentum > 0 : centered); }
  template <class T> kernels::RmsPropStep<T> step(const StepCount& at) const {
    return {.lr = T(lr),
            .sign = T(maximize ? -at.scale : at.scale),
            .l2 = T(weight_decay),
            .alpha = T(alpha),
            .one_minus_alpha = T(1 - alpha),
            .eps = T(eps),
            .momentum = T(momentum)};
  }
};

/// Tieleman & Hinton 2012: v ← α·v + (1−α)·g², θ ← θ − lr·g / (√v + ε); centered (Graves 2013) with v − (mean g)²,
/// never below 0, in place of v. With momentum, b ← μ·b + g / (√v + ε), θ ← θ − lr·b.
using RMSprop = GroupedOptimizer<RMSpropOptions>;

struct LionOptions {
  static constexpr const char* kName = "Lion";
  static constexpr std::array kStates = {"exp_avg"};

  double lr = 1e-4;
  double beta1 = 0.9, beta2 = 0.99;
  double weight_decay = 0;  ///< decoupled
  bool maximize = false;

  template <class Visitor> void visit(Visitor& option) {
    option.number("lr", lr, OptionBounds::not_negative);
    option.number("beta1", beta1, OptionBounds::share);
    option.number("beta2", beta2, OptionBounds::share);
    option.number("weight_decay", weight_decay, OptionBounds::not_negative);
    option.flag("maximize", maximize);
  }
  template <class T> kernels::LionStep<T> step(const StepCount& at) const {
    return {.lr = T(lr),
            .sign = T(maximize ? -at.scale : at.scale),
            .keep = T(1 - lr * weight_decay),
            .beta1 = T(beta1),
            .one_minus_beta1 = T(1 - beta1),
            .beta2 = T(beta2),
            .one_minus_beta2 = T(1 - beta2)};
  }
};

/// Chen et al. 2023: θ ← (1−α·λ)·θ − α·sign(β₁·m + (1−β₁)·g), m ← β₂·m + (1−β₂)·g.
using Lion = GroupedOptimizer<LionOptions>;

/// Every optimizer. Tests, the comparison with PyTorch and benchmarks go through this list.
using AllOptimizers = OptimizerList<Sgd, Adam, AdamW, RAdam, NAdam, Adagrad, RMSprop, Lion, Adafactor>;

}  // namespace qing::optim
