// Products of f32 matrices whose operands are rounded to bf16 during packing, for mixed-precision training.
#pragma once

#include <cstdint>

#include <qing/tensor/ops/gemm.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// gemm() with the elements of op(A) and op(B) rounded to bf16, to nearest even. Sums are in f32, in the order of k: in
/// pairs on processors with AVX-512 BF16, whose instruction flushes denormals to zero, else one by one in software.
/// C[i,j] depends only on row i of op(A) and column j of op(B), for any number of threads. Its last bits depend on the
/// instruction set.
void gemm_bf16(Trans trans_a, Trans trans_b, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda,
               const float* b, int64_t ldb, float* c, int64_t ldc, const float* bias = nullptr, bool accumulate = false,
               float* gelu = nullptr);

/// matmul_into() with operands rounded to bf16. a [m, k], b [k, n] and y [m, n] are f32; each has adjacent rows or
/// adjacent columns in memory.
void matmul_bf16_into(const Tensor& a, const Tensor& b, const Tensor& y, bool accumulate, const Tensor& bias = {},
                      const Tensor& gelu = {});

}  // namespace qing
