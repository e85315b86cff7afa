// The error for a tensor without a value. Without tensor.h, whose members use it too.
#pragma once

namespace qing {

/// Throws ValueError: `op` was given an undefined tensor.
[[noreturn]] void refuse_undefined(const char* op);

/// ValueError naming `op` unless the tensor is defined. Operations call it before they ask the tensor for its dtype or
/// shape, because the errors of those name no operation.
template <class AnyTensor> void check_defined(const AnyTensor& x, const char* op) {
  if (!x.defined()) refuse_undefined(op);
}

}  // namespace qing
