// What training carries from one process to the next: every part of it names its state as tensors, which a checkpoint
// stores to the bit. A number is a tensor of no dimensions, f64 or i64.
#pragma once

#include <qing/nn/module.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace qing::optim {

using nn::StateDict;

/// A part of training that has state: an optimizer, a schedule, ...
class Stateful {
 public:
  virtual ~Stateful() = default;
  /// May share storage with the part: clone what has to outlive its next step.
  virtual StateDict state_dict() const = 0;
  /// Takes over what state_dict() of such a part gave. DataError with the full list of what is missing, unknown or does
  /// not fit; then nothing has changed.
  virtual void load_state_dict(const StateDict& state) = 0;
};

Tensor number_state(double value);    ///< f64, no dimensions
Tensor integer_state(int64_t value);  ///< i64, no dimensions

/// Reads a state dict by name and remembers every mismatch: what is absent, of another dtype or shape, or never asked
/// for. A getter that finds a mismatch returns a zero or an undefined tensor; finish() throws.
class StateReader {
 public:
  StateReader(std::string what, const StateDict& state) : what_(std::move(what)), state_(state) {}

  double number(const std::string& name);
  int64_t integer(const std::string& name, int64_t least);                  ///< a mismatch below `least`
  Tensor tensor(const std::string& name, const Shape& shape, DType dtype);  ///< shares storage with the state
  bool has(const std::string& name) const { return state_.count(name) > 0; }
  void mismatch(std::string text) { problems_.push_back(std::move(text)); }
  /// DataError "what: n mismatches: ..." if there was any.
  void finish();

 private:
  std::string what_;
  const StateDict& state_;
  std::set<std::string> asked_;
  std::vector<std::string> problems_;
};

}  // namespace qing::optim
