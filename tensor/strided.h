// Walks tensors of one shape and any strides together: what every elementwise loop over views stands on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>

#include <qing/tensor/dtype.h>
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
/// up to kMaxOperands tensors of that shape (0 where broadcast). Dimensions are merged where all operands allow, sorted
/// by the first operand's strides, and walked in square tiles when another operand lies across it, so that a transposed
/// copy reads whole cache lines. Denormal numbers are kept as they are.
void for_each_run(const Shape& shape, std::initializer_list<const Strides*> operands,
                  const std::function<void(const Run&)>& body);

/// Copies a tensor of `shape` to other memory, or to the same places, if one of two fast ways applies: rows that lie
/// densely in both are copied whole; f32 and f64 that lie across each other are turned in blocks of registers. False,
/// with nothing done, otherwise.
bool copy_by_blocks(const Shape& shape, DType dtype, std::byte* to, const Strides& to_strides, const std::byte* from,
                    const Strides& from_strides);

}  // namespace qing
