// An optimizer made of its options. A struct O of options has this form; what stands in brackets may be left out:
//
//   kName, kStates       the optimizer's name, and the names of a parameter's states (kMaxSlots at most)
//   members              the options with their defaults, PyTorch's
//   visit(visitor)       calls visitor.number(name, member, bounds) or visitor.flag(name, member) for every option,
//   always
//                        in the same order; checks, set_lr() and checkpoints read it
//   step<T>(StepCount)   the numbers of one step, a struct of tensor/kernels/optimizer_steps.h, which has the formula
//   [conflict()]         what is wrong with options that exclude each other, or null
//   [keeps_state(k)]     whether state k is kept; all are
//   [initial_state()]    what states begin as; 0
//   [skips_zeros()]      whether an element whose gradient is zero keeps its value and its states; no
#pragma once

#include <qing/optim/optimizer_base.h>
#include <qing/tensor/kernels/kernels.h>

#include <array>
#include <utility>
#include <vector>

namespace qing::optim {

/// When a step happens, and by what the gradient is multiplied.
struct StepCount {
  double count;  ///< of this parameter, from 1
  bool fresh;    ///< the states were made in this step
  double scale;  ///< of the gradient
};

/// An optimizer whose groups have options `O`. Not thread-safe.
template <class O> class GroupedOptimizer final : public Optimizer {
 public:
  using Options = O;
  using Groups = std::vector<ParameterGroup<O>>;

  /// ValueError for an option out of range and for parameters that add_group() refuses.
  explicit GroupedOptimizer(std::vector<Tensor> parameters, O options = {})
      : GroupedOptimizer(Groups{{std::move(parameters), options}}) {}
  explicit GroupedOptimizer(const Groups& groups) : Optimizer(O::kName, {O::kStates.begin(), O::kStates.end()}) {
    for (const ParameterGroup<O>& group : groups) {
      add_group(group.parameters);
      options_.push_back(group.options);
    }
    finish_groups();
  }

  const O& options(size_t group = 0) const { return options_.at(group); }

 private:
  static_assert(O::kStates.size() <= kMaxSlots);

  void visit_options(size_t group, OptionVisitor& visitor) override { options_[group].visit(visitor); }
  const char* conflict(size_t group) const override {
    if constexpr (requires(const O& o) { o.conflict(); }) return options_[group].conflict();
    return nullptr;
  }
  bool uses_slot(size_t group, size_t slot) const override {
    if constexpr (requires(const O& o) { o.keeps_state(slot); }) return options_[group].keeps_state(slot);
    return true;
  }
  double initial_slot(size_t group) const override {
    if constexpr (requires(const O& o) { o.initial_state(); }) return options_[group].initial_state();
    return 0;
  }
  bool skips_zeros(size_t group) const override {
    if constexpr (requires(const O& o) { o.skips_zeros(); }) return options_[group].skips_zeros();
    return false;
  }
  void update(size_t group, const Piece<float>& piece) const override { sweep(group, piece); }
  void update(size_t group, const Piece<double>& piece) const override { sweep(group, piece); }
  template <class T> void sweep(size_t group, const Piece<T>& p) const {
    const StepCount at{static_cast<double>(p.step), p.fresh, p.scale};
    kernels::sweep(kernels::kernels<T>(), p.n, p.w, p.g, p.slots.data(), options_[group].template step<T>(at));
  }

  std::vector<O> options_;
};

template <class... Optimizers> struct OptimizerList {
  /// Calls the template operator() of f for every optimizer of the list.
  template <class F> static void for_each(F f) { (f.template operator()<Optimizers>(), ...); }
};

}  // namespace qing::optim
