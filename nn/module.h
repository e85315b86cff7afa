// Module: a part of a model that has parameters and sub-modules. A module names its parts in visit(); every function
// that walks a model (parameters, state, training mode, dtype) is built on visit().
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

/// The keys that load_state_dict(state, false) skipped.
struct LoadResult {
  std::vector<std::string> missing_keys;     ///< the module has them, the state does not
  std::vector<std::string> unexpected_keys;  ///< the state has them, the module does not
};

/// Concurrent forward passes of one module are safe in evaluation mode; functions that change the module are not.
class Module {
 public:
  /// The receiver of visit(). An undefined tensor is a part that this module was built without (e.g. a bias); it is
  /// skipped.
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
  // A copy would share parameters. To copy, build another module and load this one's state_dict() into it. A module
  // with pointers into itself must delete its move operations.
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  Module(Module&&) = default;
  Module& operator=(Module&&) = default;

  /// Reports every parameter, buffer and direct sub-module, always in the same order. A module without any parts keeps
  /// this default.
  virtual void visit(Visitor&) {}

  /// Parameters of this module and all below, under dotted names, in visiting order. A parameter that is reported more
  /// than once (tied weights) is listed once, under its first name. The handles share storage with the module's own.
  std::vector<std::pair<std::string, Tensor>> named_parameters();
  std::vector<Tensor> parameters();
  std::vector<std::pair<std::string, Tensor>> named_buffers();  ///< persistent or not
  std::vector<std::pair<std::string, Module*>> children();      ///< direct sub-modules
  /// This module, under the name "", and all below it, under dotted names, in visiting order.
  std::vector<std::pair<std::string, Module*>> named_modules();
  Module& get_submodule(std::string_view name);  ///< By its dotted name; IndexError naming it when absent.
  Tensor get_parameter(std::string_view name);   ///< Likewise; a tied parameter has several names.

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

  /// Converts floating-point parameters and buffers; integer ones stay. With f32 and f64, leaves stay leaves and lose
  /// their gradients. f16 and bf16 are for storage only: parameters stop being leaves, and layers compute again after
  /// to(f32). The parameters become new tensors, so earlier handles, an optimizer's too, no longer belong to the
  /// module. DTypeError for any other dtype.
  void to(DType dtype);

  StateDict state_dict();  ///< Parameters and persistent buffers; shares their storage.
  /// Copies tensors into the parameters and buffers of the same names and converts dtypes. DataError with the full list
  /// of entries of another shape and, if strict, of missing and unknown entries; then nothing was copied. A tied tensor
  /// needs only one of its names in the state, as in files without duplicates; DataError when two of its names have
  /// different values. The module may lack the names in `ignored`.
  LoadResult load_state_dict(const StateDict& state, bool strict = true, const std::vector<std::string>& ignored = {});
  /// As load_state_dict(), but a given tensor of the same dtype that is contiguous becomes the module's own instead of
  /// being copied: tensors on the pages of a file (nn/formats/mapped_file.h) stay there, and modules that adopt the
  /// same tensors share their memory. Earlier handles of parameters no longer belong to the module.
  LoadResult adopt_state_dict(const StateDict& state, bool strict = true, const std::vector<std::string>& ignored = {});

 private:
  LoadResult check_state_dict(const StateDict& state, bool strict, const std::vector<std::string>& ignored);
  bool training_ = false;
};

/// A module that is a function of one tensor. Sequential chains these.
class UnaryModule : public Module {
 public:
  /// Random layers draw from `rng` in training mode (ValueError if it is null then). Evaluation mode does not use it.
  Tensor forward(const Tensor& x, Generator* rng = nullptr) const { return compute(x, rng); }
  Tensor operator()(const Tensor& x, Generator* rng = nullptr) const { return compute(x, rng); }

 private:
  virtual Tensor compute(const Tensor& x, Generator* rng) const = 0;
};

}  // namespace qing::nn
