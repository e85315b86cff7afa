// The state of training that passes from one process to the next. Every part gives its state as named tensors, which a
// checkpoint stores bit by bit. A number is a tensor of no dimensions, f64 or i64.
#pragma once

#include <qing/nn/module.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace qing::optim {

using nn::StateDict;

/// A part of training that has state: an optimizer, a schedule, ... Not thread-safe.
class Stateful {
 public:
  virtual ~Stateful() = default;
  /// The tensors may share storage with the part: clone what must outlive its next step.
  virtual StateDict state_dict() const = 0;
  /// Restores what state_dict() of an equal part gave. DataError with the full list of entries that are missing,
  /// unknown or do not fit; then nothing has changed.
  virtual void load_state_dict(const StateDict& state) = 0;
};

Tensor number_state(double value);    ///< f64, no dimensions
Tensor integer_state(int64_t value);  ///< i64, no dimensions

/// Reads a state dict by name and collects every mismatch: an entry that is absent, has another dtype or shape, or was
/// never read. A getter that finds a mismatch returns a zero or an undefined tensor; finish() throws. Not thread-safe.
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
