// Walks several tensors of one shape and any strides together. Every elementwise loop over views uses it.
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
/// up to kMaxOperands tensors of that shape (0 where broadcast). Dimensions are merged where all operands allow, and
/// sorted by the first operand's strides. If another operand is dense along another dimension, the walk is in square
/// tiles, so that a transposed copy reads whole cache lines. Denormal numbers are kept.
void for_each_run(const Shape& shape, std::initializer_list<const Strides*> operands,
                  const std::function<void(const Run&)>& body);

/// Copies a tensor of `shape` to other memory, or to the same places, if a fast way applies: rows that are dense in
/// both are copied whole; transposed f32 and f64 are copied in register blocks. Otherwise returns false and does
/// nothing.
bool copy_by_blocks(const Shape& shape, DType dtype, std::byte* to, const Strides& to_strides, const std::byte* from,
                    const Strides& from_strides);

}  // namespace qing
