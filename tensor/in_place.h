// Checks that every in-place operation makes first.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

/// The metadata to call for an in-place operation on `target` with `operand`; null if neither takes part in a graph.
inline const AutogradMeta* recorder_of(const Tensor& target, const Tensor& operand) {
  const AutogradMeta* own = target.recorder();
  return own != nullptr ? own : operand.recorder();
}

/// ValueError naming `op` if elements of the tensor share memory: a write to one would change another.
void check_writable(const Tensor& tensor, const char* op);

/// `operand` broadcast to target's shape, safe to read while target is written element by element. It is a copy if the
/// two overlap in any way but element on element. ShapeError if it does not broadcast.
Tensor operand_for(const Tensor& target, const Tensor& operand);

}  // namespace qing
