// What the restricted unpickler builds: a list of plain values that refer to each other by their index. Freeing them
// needs no recursion, so that cycles and chains of any depth are harmless.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/nn/formats/file_faults.h>

namespace qing::nn {

enum class PickleKind : uint8_t {
  none,
  boolean,
  integer,
  big_integer,
  real,
  text,
  tuple,
  list,
  dict,
  global,
  storage,
  tensor
};
const char* name_of(PickleKind kind);

struct PickleValue {
  using Ref = uint32_t;
  PickleKind kind = PickleKind::none;
  int64_t integer = 0;         ///< of an integer and a boolean
  double real = 0;             ///< of a real
  std::string_view text = {};  ///< of a text; bytes of a big integer; "module.name" of a global
  /// The items of a tuple or list, or the keys and values of a dict in turn. For a storage, the items of its persistent
  /// id. For a tensor, the arguments of the function that makes it.
  std::vector<Ref> items = {};
};

/// The position of an opcode, for errors.
struct PicklePlace {
  const FileFaults* faults;
  uint64_t byte;
  /// DataError "PATH: not a valid PyTorch file: the pickle at byte N: WHAT; ...".
  [[noreturn]] void fail(std::string_view what) const;
};

class PickleValues {
 public:
  using Ref = PickleValue::Ref;
  Ref add(PickleValue value) {
    values_.push_back(std::move(value));
    return static_cast<Ref>(values_.size() - 1);
  }
  PickleValue& operator[](Ref ref) { return values_[ref]; }
  const PickleValue& operator[](Ref ref) const { return values_[ref]; }
  size_t size() const { return values_.size(); }

 private:
  std::vector<PickleValue> values_;
};

}  // namespace qing::nn
