// What every in-place operation checks first.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

/// The metadata to call for an in-place operation on `target` with `operand`; null if neither takes part in a graph.
inline const AutogradMeta* recorder_of(const Tensor& target, const Tensor& operand) {
  const AutogradMeta* own = target.recorder();
  return own != nullptr ? own : operand.recorder();
}

/// ValueError naming `op` if elements of the tensor share memory, so that a write to one would be a write to another.
void check_writable(const Tensor& tensor, const char* op);

/// `operand` broadcast to target's shape, in memory that writing target element by element cannot spoil: a copy where
/// the two overlap otherwise than element on element. ShapeError if it does not broadcast.
Tensor operand_for(const Tensor& target, const Tensor& operand);

}  // namespace qing
