// Optimizers: they hold parameters in groups and update them with the gradients that backward() left. Options, defaults
// and formulas are PyTorch's. g below is the gradient, negated when maximizing. Every constructor throws ValueError for
// an option out of range and for parameters that add_group (optimizer_base.h) refuses.
#pragma once

#include <qing/optim/optimizer_base.h>

#include <vector>

namespace qing::optim {

/// An optimizer whose groups have `Options`.
template <class Options> class GroupedOptimizer : public Optimizer {
 public:
  const Options& options(size_t group = 0) const { return options_.at(group); }

 protected:
  using Groups = std::vector<ParameterGroup<Options>>;
  GroupedOptimizer(const char* name, std::vector<std::string_view> slots, Groups groups)
      : Optimizer(name, std::move(slots)) {
    for (auto& group : groups) {
      add_group(std::move(group.parameters));
      options_.push_back(group.options);
    }
  }
  std::vector<Options> options_;
};

struct SgdOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;     ///< share of the gradient that the momentum leaves out
  double weight_decay = 0;  ///< λ: g + λ·θ takes the place of g (L2)
  bool nesterov = false;    ///< needs momentum > 0 and dampening = 0
  bool maximize = false;
};

/// θ ← θ − α·g; with momentum v ← μ·v + (1−dampening)·g, where the first v is g, θ ← θ − α·v, or with Nesterov's
/// θ ← θ − α·(g + μ·v) (Sutskever et al. 2013).
class Sgd : public GroupedOptimizer<SgdOptions> {
 public:
  explicit Sgd(std::vector<Tensor> parameters, SgdOptions options = {})
      : Sgd(Groups{{std::move(parameters), options}}) {}
  explicit Sgd(Groups groups);

 private:
  void visit_options(size_t group, OptionVisitor& visitor) override;
  void check_options(size_t group) const override;
  bool uses_slot(size_t group, size_t slot) const override;
  bool skips_zeros(size_t group) const override;
  void update(size_t group, const Piece<float>& piece) const override { sweep(group, piece); }
  void update(size_t group, const Piece<double>& piece) const override { sweep(group, piece); }
  template <class T> void sweep(size_t group, const Piece<T>& piece) const;
};

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool amsgrad = false;  ///< divide by the largest second moment so far (Reddi et al. 2018)
  bool maximize = false;
  bool decoupled_weight_decay = false;  ///< θ ← (1−α·λ)·θ instead of L2 in the gradient
  /// Table rows that no id of this step selects keep their weights and moments, without decay, so the cost of a step
  /// depends on the selected rows only. Other parameters are not affected. Neither is a table whose gradient rows are
  /// not known (see row_grad(): another use of the table, grad(), a hook). This is PyTorch's SparseAdam, except that
  /// SparseAdam adds eps before it corrects the bias.
  bool lazy = false;
};

/// Kingma & Ba 2015: m ← β₁·m + (1−β₁)·g, v ← β₂·v + (1−β₂)·g², θ ← θ − α·m̂ / (√v̂ + ε), where m̂ = m/(1−β₁ᵗ),
/// v̂ = v/(1−β₂ᵗ).
class Adam : public GroupedOptimizer<AdamOptions> {
 public:
  explicit Adam(std::vector<Tensor> parameters, AdamOptions options = {})
      : Adam(Groups{{std::move(parameters), options}}) {}
  explicit Adam(Groups groups) : Adam("Adam", std::move(groups)) {}

 protected:
  Adam(const char* name, Groups groups);

 private:
  void visit_options(size_t group, OptionVisitor& visitor) override;
  void check_options(size_t group) const override;
  bool uses_slot(size_t group, size_t slot) const override;
  bool skips_zeros(size_t group) const override;
  void update(size_t group, const Piece<float>& piece) const override { sweep(group, piece); }
  void update(size_t group, const Piece<double>& piece) const override { sweep(group, piece); }
  template <class T> void sweep(size_t group, const Piece<T>& piece) const;
};

struct AdamWOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
  bool amsgrad = false;
  bool maximize = false;
  bool lazy = false;  ///< as in AdamOptions
};

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
class AdamW : public Adam {
 public:
  explicit AdamW(std::vector<Tensor> parameters, AdamWOptions options = {})
      : AdamW(std::vector<ParameterGroup<AdamWOptions>>{{std::move(parameters), options}}) {}
  explicit AdamW(std::vector<ParameterGroup<AdamWOptions>> groups);
};

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;  ///< α/(1 + (t−1)·lr_decay) at step t
  double weight_decay = 0;
  double initial_accumulator_value = 0;
  double eps = 1e-10;
  bool maximize = false;
};

/// Duchi et al. 2011: s ← s + g², θ ← θ − α·g / (√s + ε).
class Adagrad : public GroupedOptimizer<AdagradOptions> {
 public:
  explicit Adagrad(std::vector<Tensor> parameters, AdagradOptions options = {})
      : Adagrad(Groups{{std::move(parameters), options}}) {}
  explicit Adagrad(Groups groups);

 private:
  void visit_options(size_t group, OptionVisitor& visitor) override;
  void check_options(size_t group) const override;
  bool uses_slot(size_t, size_t) const override { return true; }
  bool skips_zeros(size_t group) const override { return options_[group].weight_decay == 0; }
  double initial_slot(size_t group) const override { return options_[group].initial_accumulator_value; }
  void update(size_t group, const Piece<float>& piece) const override { sweep(group, piece); }
  void update(size_t group, const Piece<double>& piece) const override { sweep(group, piece); }
  template <class T> void sweep(size_t group, const Piece<T>& piece) const;
};

struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;  ///< divide by the deviation instead of the root mean square
  bool maximize = false;
};

/// Tieleman & Hinton 2012: v ← α·v + (1−α)·g², θ ← θ − lr·g / (√v + ε); centered (Graves 2013) with v − (mean g)²,
/// never below 0, in place of v. With momentum, b ← μ·b + g / (√v + ε), θ ← θ − lr·b.
class RMSprop : public GroupedOptimizer<RMSpropOptions> {
 public:
  explicit RMSprop(std::vector<Tensor> parameters, RMSpropOptions options = {})
      : RMSprop(Groups{{std::move(parameters), options}}) {}
  explicit RMSprop(Groups groups);

 private:
  void visit_options(size_t group, OptionVisitor& visitor) override;
  void check_options(size_t group) const override;
  bool uses_slot(size_t group, size_t slot) const override;
  void update(size_t group, const Piece<float>& piece) const override { sweep(group, piece); }
  void update(size_t group, const Piece<double>& piece) const override { sweep(group, piece); }
  template <class T> void sweep(size_t group, const Piece<T>& piece) const;
};

struct LionOptions {
  double lr = 1e-4;
  double beta1 = 0.9, beta2 = 0.99;
  double weight_decay = 0;  ///< decoupled
  bool maximize = false;
};

/// Chen et al. 2023: θ ← (1−α·λ)·θ − α·sign(β₁·m + (1−β₁)·g), m ← β₂·m + (1−β₂)·g.
class Lion : public GroupedOptimizer<LionOptions> {
 public:
  explicit Lion(std::vector<Tensor> parameters, LionOptions options = {})
      : Lion(Groups{{std::move(parameters), options}}) {}
  explicit Lion(Groups groups);

 private:
  void visit_options(size_t group, OptionVisitor& visitor) override;
  void check_options(size_t group) const override;
  bool uses_slot(size_t, size_t) const override { return true; }
  void update(size_t group, const Piece<float>& piece) const override { sweep(group, piece); }
  void update(size_t group, const Piece<double>& piece) const override { sweep(group, piece); }
  template <class T> void sweep(size_t group, const Piece<T>& piece) const;
};

}  // namespace qing::optim
