// One thread's share of a product, block by block: what stands between gemm.cpp and the ISA's kernel.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace qing {

constexpr int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/// The depth of the blocks in which a product of depth k is computed. C is summed block by block, so this is a function
/// of k alone: equal blocks of at most 512, in multiples of 16 of which the last may lack some.
constexpr int64_t gemm_block_depth(int64_t k) {
  constexpr int64_t kMost = 512;
  const int64_t blocks = k <= kMost ? 1 : (k + kMost - 1) / kMost;
  return std::max<int64_t>(16, round_up(blocks == 1 ? k : (k + blocks - 1) / blocks, 16));
}

/// A matrix as the product sees it: element (i, j) of op(M).
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
  const T* packed_b;  ///< as pack_block() lays it out, all blocks one after the other; or null, and b is read
  T* c;
  int64_t ldc;
  const T* bias;  ///< or null
  bool accumulate;
  T* gelu;  ///< as C; or null

  /// On the calling thread.
  void compute(const GemmPart& part) const;

 private:
  int64_t compute_turned(const GemmPart& part) const;
  void compute_packed(const GemmPart& part) const;
};

/// Columns of b, rows p to p + depth, in panels of nr columns, the last filled up with zeros: element (p, j) goes to
/// out[(j / nr)·nr·depth + p·nr + j % nr].
template <class T>
void pack_block(const GemmView<T>& b, int64_t p, int64_t depth, int64_t column, int64_t columns, T* out);

/// Hands out m×n results of depth k in parts to the threads there are, or as one to this thread if they are small.
/// Parts begin at multiples of nr columns.
void for_parts(int64_t m, int64_t n, int64_t k, int64_t mr, int64_t nr,
               const std::function<void(const GemmPart&)>& body);

}  // namespace qing
