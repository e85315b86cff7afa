// Operands of products in bf16 as words: a word holds two neighbours along the depth, the first one in its lower half.
// Not a public header.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing {

/// Memory for so many words, and a view of it.
inline Tensor word_memory(int64_t count) { return Tensor::empty({count}, DType::i32); }
inline uint32_t* words_of(const Tensor& x) { return reinterpret_cast<uint32_t*>(x.data<int32_t>()); }
/// The words as bf16, two each.
inline uint16_t* halves_of(const Tensor& x) { return reinterpret_cast<uint16_t*>(x.data<int32_t>()); }

/// The words of a line of this depth. The upper half of the last one is 0 if the depth is odd.
constexpr int64_t pairs_of(int64_t depth) { return (depth + 1) / 2; }

/// The distance in words between lines of this length that are the operand A. It is an odd number of cache lines,
/// because lines an even number apart share sets of the first cache.
constexpr int64_t line_step(int64_t pairs) {
  return pairs + 15 - (pairs + 15) % 16 + ((pairs + 15) / 16 % 2 == 0 ? 16 : 0);
}

/// For a matrix whose lines are contiguous along the depth: word g of line i goes to out[i·step + g].
void round_lines(int64_t lines, int64_t depth, const float* from, int64_t stride, uint32_t* out, int64_t step);
/// For a matrix whose lines are adjacent: word g of line i goes to out[g·step + i].
void round_across(int64_t lines, int64_t depth, const float* from, int64_t stride, uint32_t* out, int64_t step);
/// out[c·out_step + r] = in[r·in_step + c]. The two do not overlap.
void transpose_words(int64_t rows, int64_t columns, const uint32_t* in, int64_t in_step, uint32_t* out,
                     int64_t out_step);

/// C = A·B (+ C with `accumulate`) + bias, in one chain of f32 sums for each element.
struct WordProduct {
  int64_t rows, columns, pairs;
  const uint32_t* a;  ///< word g of row i is a[i·a_row + g]
  int64_t a_row;
  const uint32_t* b;  ///< word g of column j is b[j / nr · nr·pairs + g·nr + j % nr], with the kernel's panels of nr
  float* c;
  int64_t ldc;
  const float* bias = nullptr;  ///< [columns], or null
  bool accumulate = false;
};

/// On the calling thread. An element's bits depend on its row of A and its column of B alone.
void multiply_words(const WordProduct& product);

}  // namespace qing
