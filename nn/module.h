// Module: a part of a model that has parameters and other modules inside. A module names what it has in visit(); all
// that walks a model (parameters, state, training mode, dtype) is written once, on top of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing::nn {

using StateDict = std::map<std::string, Tensor>;

/// What load_state_dict(state, false) passed over.
struct LoadResult {
  std::vector<std::string> missing_keys;     ///< the module has them, the state does not
  std::vector<std::string> unexpected_keys;  ///< the state has them, the module does not
};

class Module {
 public:
  /// What visit() reports to. An undefined tensor stands for a part that this module was built without (a bias, say)
  /// and is passed over.
  class Visitor {
   public:
    virtual ~Visitor() = default;
    virtual void parameter(std::string_view name, Tensor& parameter) = 0;
    /// A tensor that is not trained, e.g. running statistics. A persistent one is part of the state.
    virtual void buffer(std::string_view name, Tensor& buffer, bool persistent) = 0;
    virtual void module(std::string_view name, Module& module) = 0;
  };

  Module() = default;
  virtual ~Module() = default;
  // Copies would share parameters: build another module and load this one's state_dict() into it. A module that keeps
  // pointers into itself must delete its move.
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  Module(Module&&) = default;
  Module& operator=(Module&&) = default;

  /// Reports every parameter, buffer and direct sub-module, always in the same order. One without any keeps this.
  virtual void visit(Visitor&) {}

  /// Parameters of this module and all below, under dotted names, in visiting order; one that is reported more than
  /// once (tied weights) comes once, under its first name. The handles share storage with the module's own.
  std::vector<std::pair<std::string, Tensor>> named_parameters();
  std::vector<Tensor> parameters();
  std::vector<std::pair<std::string, Tensor>> named_buffers();  ///< persistent or not
  std::vector<std::pair<std::string, Module*>> children();      ///< direct sub-modules
  /// This module, under the name "", and all below it, under dotted names, in visiting order.
  std::vector<std::pair<std::string, Module*>> named_modules();
  Module& get_submodule(std::string_view name);  ///< By its dotted name; IndexError naming it when there is none.
  Tensor get_parameter(std::string_view name);   ///< Likewise; a tied one by each of its names.

  int64_t parameter_count(bool trainable_only = false);  ///< Elements of all parameters, or of those with gradients.
  size_t bytes();                                        ///< Of all parameters and buffers.
  /// The class's name, without namespaces and template arguments: for messages and summary().
  std::string type_name() const;

  /// Training mode (dropout active, running statistics updated) for this module and all below; modules begin in
  /// evaluation mode.
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }
  /// Whether the parameters are leaves that gradients are computed for. Modules begin without.
  void set_requires_grad(bool on);
  void freeze() { set_requires_grad(false); }
  void unfreeze() { set_requires_grad(true); }
  void zero_grad();
  /// Calls function on every module below and then on this one, as torch.nn.Module.apply.
  void apply(const std::function<void(Module&)>& function);

  /// Converts floating parameters and buffers; indices and counts stay. f32 and f64 compute, and leaves stay leaves,
  /// without their gradients; f16 and bf16 only store: parameters stop being leaves, and layers compute again after
  /// to(f32). The parameters are new tensors: handles taken before, an optimizer's too, are not this module's any more.
  /// DTypeError for any other dtype.
  void to(DType dtype);

  StateDict state_dict();  ///< Parameters and persistent buffers; shares their storage.
  /// Copies tensors into the parameters and buffers of the same names, converting dtypes. DataError with the full list
  /// of what has another shape and, if strict, what is missing or not known; then nothing was copied. Of the names of a
  /// tied tensor one is enough, as files without duplicates have it; DataError when two of them have other values.
  /// Names in `ignored` may be absent from the module.
  LoadResult load_state_dict(const StateDict& state, bool strict = true, const std::vector<std::string>& ignored = {});

 private:
  bool training_ = false;
};

/// A module that is a function of one tensor: what Sequential chains.
class UnaryModule : public Module {
 public:
  /// `rng` feeds whatever is random in training mode (ValueError if null then); it is not used in evaluation mode.
  Tensor forward(const Tensor& x, Generator* rng = nullptr) const { return compute(x, rng); }
  Tensor operator()(const Tensor& x, Generator* rng = nullptr) const { return compute(x, rng); }

 private:
  virtual Tensor compute(const Tensor& x, Generator* rng) const = 0;
};

}  // namespace qing::nn
