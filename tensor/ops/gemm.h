// General matrix multiply, and matrices packed once for many products.
#pragma once

#include <cstdint>

#include <qing/tensor/tensor.h>

namespace qing {

enum class Trans { no, yes };

/// C[m,n] = op(A)·op(B) (+ bias[n] on every row), or C += ... if accumulate. Row-major with leading dimensions; op(A)
/// is m×k, op(B) is k×n. T is float or double. `bias` may be null. C is read only if accumulate. If `gelu` is not null,
/// gelu of C's elements is written there, laid out as C; it may be C. Uses threads. The bits of C[i,j] depend only on
/// row i of op(A), column j of op(B) and k: not on the number of threads, not on m (so a row's result does not depend
/// on the rest of the batch), and not on layout or packing. Cost: 2mnk FLOP.
template <class T>
void gemm(Trans trans_a, Trans trans_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b,
          int64_t ldb, T* c, int64_t ldc, const T* bias = nullptr, bool accumulate = false, T* gelu = nullptr);

/// gemm() on the calling thread alone, for use inside parallel regions.
template <class T>
void gemm_serial(Trans trans_a, Trans trans_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b,
                 int64_t ldb, T* c, int64_t ldc, const T* bias = nullptr, bool accumulate = false, T* gelu = nullptr);

/// op(B) in the layout that GEMM's kernels read, packed once for many products: weights, above all transposed ones that
/// meet few rows. A copy: later writes to B have no effect. Immutable, so any number of threads may use it.
template <class T> class PackedMatrix {
 public:
  PackedMatrix() = default;  ///< 0×0
  /// op(B) is k×n with leading dimension ldb. ValueError if k or n is negative. Uses threads.
  PackedMatrix(Trans trans_b, int64_t k, int64_t n, const T* b, int64_t ldb);

  int64_t rows() const { return k_; }
  int64_t columns() const { return n_; }
  const T* panels() const { return panels_.defined() ? panels_.data<T>() : nullptr; }

 private:
  int64_t k_ = 0, n_ = 0;
  Tensor panels_;
};

/// gemm() with a packed right operand. The bits are the same.
template <class T>
void gemm(Trans trans_a, int64_t m, const T* a, int64_t lda, const PackedMatrix<T>& b, T* c, int64_t ldc,
          const T* bias = nullptr, bool accumulate = false, T* gelu = nullptr);

}  // namespace qing
