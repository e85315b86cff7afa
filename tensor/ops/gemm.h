// General matrix multiply: the driver that blocks, packs, and spreads over threads around the ISA's microkernel.
#pragma once

#include <cstdint>

namespace qing {

enum class Trans { no, yes };

/// C[m,n] = op(A)·op(B) (+ bias[n] on every row), or C += ... when accumulate. Row-major with leading dimensions;
/// op(A) is m×k, op(B) is k×n. `bias` may be null. C is never read unless accumulate. T is float or double.
/// Uses threads; the bits of C[i,j] depend only on row i of op(A), column j of op(B), and k: neither on the number of
/// threads, nor on m (so that a row's result does not depend on what else is in the batch). Cost: 2mnk FLOP.
template <class T>
void gemm(Trans trans_a, Trans trans_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b,
          int64_t ldb, T* c, int64_t ldc, const T* bias = nullptr, bool accumulate = false);

/// The same on the calling thread alone, for use inside parallel regions.
template <class T>
void gemm_serial(Trans trans_a, Trans trans_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b,
                 int64_t ldb, T* c, int64_t ldc, const T* bias = nullptr, bool accumulate = false);

}  // namespace qing
