// The driver of elementwise loops: it broadcasts operands of any strides to one shape and passes them to kernels block
// by block.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>

#include <qing/tensor/tensor.h>

namespace qing {

/// Elements that a thread takes at a time: enough to be worth waking it, and a multiple of every vector width.
inline constexpr int64_t kElementGrain = 16384;

/// One operand's part of a block: its element i is data[i·step], step 1 or 0.
struct Lane {
  const void* data;
  int64_t step;
  template <class T> const T* as() const { return static_cast<const T*>(data); }
};

/// How to pass an operand that repeats one element: that element with step 0, or copies of it, so that every step is 1.
enum class Repeat { scalar, copied };

/// Calls block(begin, n, lanes) for disjoint ranges [begin, begin + n) that cover the elements of `shape` in row-major
/// order, in parallel over fixed chunks. lanes[k] holds these elements of operand k. Operands broadcast to `shape`
/// (ShapeError otherwise). Where an operand is dense or repeats one element, its lane points into it; elsewhere to a
/// copy of a few hundred elements on the stack. So a block that treats all elements alike gives the same bits for any
/// strides, position and number of threads.
void for_blocks(const Shape& shape, std::initializer_list<Tensor> operands, Repeat repeat,
                const std::function<void(int64_t begin, int64_t n, const Lane* lanes)>& block);

}  // namespace qing
