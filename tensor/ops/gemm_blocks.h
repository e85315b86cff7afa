// One thread's share of a product, block by block: the layer between gemm.cpp and the ISA's kernel.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace qing {

constexpr int64_t divided_up(int64_t n, int64_t d) { return (n + d - 1) / d; }
constexpr int64_t round_up(int64_t n, int64_t unit) { return divided_up(n, unit) * unit; }

/// The depth of the blocks in which a product of depth k is summed. It depends on k alone, so results do too: equal
/// blocks of at most 512, in multiples of 16, except that the last may be smaller.
constexpr int64_t gemm_block_depth(int64_t k) {
  constexpr int64_t kMost = 512;
  const int64_t blocks = k <= kMost ? 1 : (k + kMost - 1) / kMost;
  return std::max<int64_t>(16, round_up(blocks == 1 ? k : (k + blocks - 1) / blocks, 16));
}

/// An operand as the product sees it: element (i, j) of op(M).
template <class T> struct GemmView {
  const T* data;
  int64_t row, column;  ///< strides; one of them is 1

  const T* at(int64_t i, int64_t j) const { return data + i * row + j * column; }
};

/// Rows × columns of C.
struct GemmPart {
  int64_t row, rows, column, columns;
};

template <class T> struct GemmProduct {
  int64_t m, n, k;
  GemmView<T> a, b;
  const T* packed_b;  ///< all blocks one after the other, laid out by pack_block(); null: read b
  T* c;
  int64_t ldc;
  const T* bias;  ///< or null
  bool accumulate;
  T* gelu;  ///< laid out as C; or null

  /// On the calling thread.
  void compute(const GemmPart& part) const;

 private:
  int64_t compute_transposed_b(const GemmPart& part) const;
  void compute_packed(const GemmPart& part) const;
};

/// Packs columns of b, rows p to p + depth, in panels of nr columns; the last panel is filled up with zeros. Element
/// (p, j) goes to out[(j / nr)·nr·depth + p·nr + j % nr].
template <class T>
void pack_block(const GemmView<T>& b, int64_t p, int64_t depth, int64_t column, int64_t columns, T* out);

/// The next panel comes from L3 in as many parts as there are strips: how much of its `width`, the elements or bytes of
/// one step along the depth, a strip prefetches at each step.
inline int64_t ahead_step(int64_t width, int64_t strips) { return width < strips ? 1 : width / strips; }

/// The calling thread's memory for packed or rounded operands, for float, double and uint32_t. It begins a cache line:
/// AMX loads rows across two lines half as fast. It only grows, so that no product allocates after the first. The next
/// call may move it.
template <class T> T* packing_buffer(int64_t elements);

/// Splits an m×n result of depth k into parts for the threads; a small one is a single part for this thread. Parts
/// begin at multiples of nr columns.
void for_parts(int64_t m, int64_t n, int64_t k, int64_t mr, int64_t nr,
               const std::function<void(const GemmPart&)>& body);

}  // namespace qing
