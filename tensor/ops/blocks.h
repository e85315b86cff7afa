// The driver of elementwise loops: operands of any strides, broadcast to one shape, handed to kernels block by block.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>

#include <qing/tensor/tensor.h>

namespace qing {

/// Elements a thread takes at a time: enough to pay for waking it, and a multiple of every vector width.
inline constexpr int64_t kElementGrain = 16384;

/// One operand's part of a block: its element i is data[i·step], step 1 or 0.
struct Lane {
  const void* data;
  int64_t step;
  template <class T> const T* as() const { return static_cast<const T*>(data); }
};

/// Of operands that repeat one element: hand out that element (step 0), or copies of it, so that every step is 1.
enum class Repeat { scalar, copied };

/// Calls block(begin, n, lanes) for disjoint ranges [begin, begin + n) that cover the elements of `shape` in row-major
/// order, in parallel over fixed chunks; lanes[k] are those elements of operand k. Operands broadcast to `shape`
/// (ShapeError otherwise). Where they lie densely, or repeat one element, lanes point into them; elsewhere at a copy of
/// a few hundred elements on the stack. So a block that treats each element alike gives it the same bits wherever it
/// stands, whatever the strides and the number of threads.
void for_blocks(const Shape& shape, std::initializer_list<Tensor> operands, Repeat repeat,
                const std::function<void(int64_t begin, int64_t n, const Lane* lanes)>& block);

}  // namespace qing
