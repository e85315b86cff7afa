// Kernels of products in 8-bit integers and bf16. Processors with AVX-512 VNNI and BF16 sum groups of neighbouring
// products in one instruction. One table per ISA, as in kernels.h.
#pragma once

#include <cstdint>

#include <qing/tensor/kernels/bf16_attention.h>

namespace qing::kernels {

/// C[rows × columns] from packed operands. A group of neighbours along the depth fills 32 bits: two bf16 or four bytes.
struct LowStrip {
  /// 1 ≤ rows ≤ blocks·bytes_rows or blocks·bf16_rows. Column 0 begins a panel.
  int64_t rows = 0, columns = 0, groups = 0;
  const void* a = nullptr;  ///< group g of row i is the 32-bit word i·a_row + g
  int64_t a_row = 0;
  const void* b = nullptr;  ///< group g of column j is the word (j / nr)·nr·groups + g·nr + j % nr
  float* c = nullptr;
  /// Where results go instead of C when it is not null, rounded to bf16 as by round_to_bf16. Without `accumulate`.
  uint16_t* c_bf16 = nullptr;
  int64_t ldc = 0;                  ///< of C or c_bf16
  const float* bias = nullptr;      ///< [columns] or null
  const float* a_scale = nullptr;   ///< [rows]; for bytes only, like the next two
  const float* b_scale = nullptr;   ///< [columns, rounded up to nr]
  const int32_t* b_zero = nullptr;  ///< likewise: the sum that a row of A with only 128s would add
  bool accumulate = false;          ///< for bf16 only: add to C
  bool rough_gelu = false;          ///< results are rough_gelu of that, without `accumulate`
  /// `ahead`: the offset from the next panel's start, in bytes, where prefetching begins. `ahead_step`: bytes
  /// prefetched for each group.
  int64_t ahead = 0, ahead_step = 0;
};

struct LowPrecision {
  int64_t bytes_rows, bf16_rows, nr;  ///< the rows of a block of C, the columns of a panel of B
  int64_t blocks;                     ///< the most blocks of rows of a strip
  int64_t chunk_rows;                 ///< the rows that a product takes at a time, so that they stay in L2
  /// A's bytes are unsigned, B's signed; sums are exact: C = a_scale·b_scale·(A·B − b_zero) + bias.
  void (*bytes_strip)(const LowStrip& strip);
  /// C = A·B (+ C when accumulate) + bias, summed in f32.
  void (*bf16_strip)(const LowStrip& strip);
  /// Sets y to 128 + round(x / scale) and returns the scale, which is the largest |x| / 127. Returns NaN if x is not
  /// finite.
  float (*quantize)(int64_t n, const float* x, uint8_t* y);
  /// x = GELU of x within 5e-5·max(1, |x|/12): for numbers that are rounded to bytes next.
  void (*rough_gelu)(int64_t n, float* x);
  /// To nearest even. NaN stays. Denormals may become 0, as in the products.
  void (*round_to_bf16)(int64_t n, const float* x, uint16_t* y);
  /// Rounds both in the same way. x goes into the lower half of a word and y into the upper half. A null y counts as 0.
  void (*pair_bf16)(int64_t n, const float* x, const float* y, uint32_t* out);
  /// Fills a row of panels of B, which begin `panel` words apart, from runs of 8 words: column 8·u + i of the row is
  /// from[offsets[u] + i], for u < units. 8·units is a multiple of nr.
  void (*gather_words)(int64_t units, const int64_t* offsets, const uint32_t* from, int64_t panel, uint32_t* to);
  /// Null where the kernel in f32 is not slower. `scratch` is bf16_attention_scratch() words.
  void (*bf16_attention)(const Bf16Attention& attention, uint32_t* scratch);
};

const LowPrecision& low_precision();  ///< of active_isa()

}  // namespace qing::kernels
