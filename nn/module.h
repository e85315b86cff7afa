// Module: a part of a model that has parameters and other modules inside. A module names what it has in visit(); all
// that walks a model (parameters, state, training mode) is written once, on top of it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing::nn {

using StateDict = std::map<std::string, Tensor>;

class Module {
 public:
  /// What visit() reports to.
  class Visitor {
   public:
    virtual ~Visitor() = default;
    virtual void parameter(std::string_view name, Tensor& parameter) = 0;
    virtual void module(std::string_view name, Module& module) = 0;
  };

  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// Reports every parameter and direct sub-module, always in the same order.
  virtual void visit(Visitor& visitor) = 0;

  /// Parameters of this module and all below, under dotted names, in visiting order. The handles share storage with the
  /// module's own.
  std::vector<std::pair<std::string, Tensor>> named_parameters();
  std::vector<Tensor> parameters();
  int64_t parameter_count();

  /// Training mode (dropout active) for this module and all below; modules begin in evaluation mode.
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }
  /// Whether the parameters are leaves that gradients are computed for; false freezes them.
  void set_requires_grad(bool on);

  StateDict state_dict();  ///< Shares storage with the parameters.
  /// Copies tensors into the parameters of the same names, converting dtypes. DataError with the full list of what is
  /// missing, has another shape and, if strict, is not known; then nothing was copied. Names in `ignored` may be absent
  /// from the module.
  void load_state_dict(const StateDict& state, bool strict = true, const std::vector<std::string>& ignored = {});

 private:
  bool training_ = false;
};

}  // namespace qing::nn
