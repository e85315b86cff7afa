// The error for a tensor without a value. Without tensor.h, whose members use it too.
#pragma once

namespace qing {

/// Throws ValueError: `op` was given an undefined tensor.
[[noreturn]] void refuse_undefined(const char* op);

/// ValueError naming `op` unless the tensor is defined. For operations that would otherwise ask it for its dtype or
/// shape first, whose errors know no operation.
template <class AnyTensor> void check_defined(const AnyTensor& x, const char* op) {
  if (!x.defined()) refuse_undefined(op);
}

}  // namespace qing
