// Walks tensors of one shape and any strides together: what every elementwise loop over views stands on.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>

#include <qing/tensor/layout.h>

namespace qing {

inline constexpr size_t kMaxOperands = 4;

/// `count` elements of each operand: element i of operand k lies at offset[k] + i·step[k] from its first element.
struct Run {
  int64_t count;
  std::array<int64_t, kMaxOperands> offset;
  std::array<int64_t, kMaxOperands> step;
};

/// Calls body for runs that cover `shape` once, in parallel and in no particular order. `operands` are the strides of
/// up to kMaxOperands tensors of that shape (0 where broadcast). Dimensions are merged where all operands allow, sorted by
/// the first operand's strides, and walked in square tiles when another operand lies across it, so that a transposed
/// copy reads whole cache lines. Denormal numbers are kept as they are.
void for_each_run(const Shape& shape, std::initializer_list<const Strides*> operands,
                  const std::function<void(const Run&)>& body);

}  // namespace qing
