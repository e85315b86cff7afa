// Products with weights in 8-bit integers or bf16, for inference. They read less memory, and compute several products
// per instruction on processors with AVX-512 VNNI and BF16, and on the tiles of AMX.
#pragma once

#include <cstdint>
#include <span>

#include <qing/tensor/ops/gemm.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// op(B), k×n, in bf16, packed for products. A copy, immutable, so any number of threads may use it.
class Bf16Matrix {
 public:
  Bf16Matrix() = default;  ///< 0×0
  /// Rounds to nearest even. ValueError if k or n is negative.
  Bf16Matrix(Trans trans_b, int64_t k, int64_t n, const float* b, int64_t ldb);

  int64_t rows() const { return k_; }
  int64_t columns() const { return n_; }
  const void* words() const { return words_.defined() ? words_.data<uint8_t>() : nullptr; }

 private:
  int64_t k_ = 0, n_ = 0;
  Tensor words_;
};

/// op(B), k×n, in signed bytes with one scale per column, packed for products. The scale is the column's largest
/// magnitude / 127. A copy, immutable, so any number of threads may use it.
class Int8Matrix {
 public:
  static constexpr int64_t kMaxRows = 65536;  ///< sums of more products might overflow 32 bits

  Int8Matrix() = default;  ///< 0×0
  /// ValueError if k or n is negative, or k exceeds kMaxRows. A column that is not finite makes its results NaN.
  Int8Matrix(Trans trans_b, int64_t k, int64_t n, const float* b, int64_t ldb);

  int64_t rows() const { return k_; }
  int64_t columns() const { return n_; }
  const void* words() const { return words_.defined() ? words_.data<uint8_t>() : nullptr; }
  /// For each column, and 0 for as many more as fill the last panel.
  const float* scales() const { return scales_.data<float>(); }
  const int32_t* zeros() const { return zeros_.data<int32_t>(); }  ///< likewise: 128 times the column's sum of bytes

 private:
  int64_t k_ = 0, n_ = 0;
  Tensor words_, scales_, zeros_;
};

/// C[m,n] = A·B (+ bias[n] on every row). A is f32, m×k, and rounded to bf16 to nearest even. Products are summed in
/// f32 in the order of k; processors with an instruction for it sum in pairs and flush denormals to zero. C[i,j]
/// depends only on row i of A and column j of B, as in gemm(). Its last bits depend on the instruction set. With `gelu`
/// C is GELU of that, applied while it lies in the cache.
void gemm(int64_t m, const float* a, int64_t lda, const Bf16Matrix& b, float* c, int64_t ldc,
          const float* bias = nullptr, bool gelu = false);

/// The same product with A rounded to bytes; each row's scale is its largest magnitude / 127. Sums of products are
/// exact, so results without `gelu` are bitwise equal on every instruction set. A row of A that is not finite gives
/// NaN. The error of C[i,j] is at most about (|a_i|max·Σ|b_j| + |b_j|max·Σ|a_i|) / 254.
void gemm(int64_t m, const float* a, int64_t lda, const Int8Matrix& b, float* c, int64_t ldc,
          const float* bias = nullptr, bool gelu = false);

/// The product of A in bf16, whose results are those of the gemm() above for the same numbers in f32. ValueError unless
/// A's columns and lda are even.
void gemm(int64_t m, const BFloat16* a, int64_t lda, const Bf16Matrix& b, float* c, int64_t ldc,
          const float* bias = nullptr);

/// One of several products with the same left operand. Result is float, or BFloat16 for results that are rounded to
/// bf16 to nearest even.
template <class Matrix, class Result = float> struct JoinedProduct {
  const Matrix* b;
  const float* bias;  ///< or null
  Result* c;          ///< does not overlap A or another product's C
};
/// gemm() with each of the products' matrices, which have equally many rows, to the same bits. A's rows are rounded
/// once for all of them. ValueError unless the matrices have as many rows as the first.
void gemm_joined(int64_t m, const float* a, int64_t lda, std::span<const JoinedProduct<Bf16Matrix>> products,
                 int64_t ldc);
void gemm_joined(int64_t m, const float* a, int64_t lda, std::span<const JoinedProduct<Int8Matrix>> products,
                 int64_t ldc);
void gemm_joined(int64_t m, const float* a, int64_t lda, std::span<const JoinedProduct<Bf16Matrix, BFloat16>> products,
                 int64_t ldc);

/// C[m, n] = GELU(A·W1 + b1)·W2 + b2, the feed-forward of a transformer: the int8 product of an int8 product. GELU is
/// within 5e-5·max(1, |x|/12), which is little beside the rounding of its results to bytes. C[i,j] depends only on row
/// i of A and the weights. Its last bits depend on the instruction set, by GELU. ValueError unless W2 has as many rows
/// as W1 has columns.
void feed_forward(int64_t m, const float* a, int64_t lda, const Int8Matrix& w1, const float* b1, const Int8Matrix& w2,
                  const float* b2, float* c, int64_t ldc);
/// The same in bf16: the hidden values are rounded to bf16 as they leave the registers.
void feed_forward(int64_t m, const float* a, int64_t lda, const Bf16Matrix& w1, const float* b1, const Bf16Matrix& w2,
                  const float* b2, float* c, int64_t ldc);

}  // namespace qing
