// Products of batches of matrices of any strides, without gradients.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

/// x if GEMM can read the matrices of its last two dimensions in place, else a contiguous copy. In place: one of the
/// two strides is 1; a transposed matrix is read as such. A vector is returned unchanged.
Tensor gemm_readable(const Tensor& x);

/// y = a·b (+ bias on every row), or y += a·b if accumulate. a is [..., m, k], b [..., k, n], y [..., m, n] with dense
/// matrices, bias [n] or undefined; all of one dtype, f32 or f64. If `gelu` is defined, gelu(y) goes there: y itself,
/// or a tensor with y's layout. Leading dimensions of a and b broadcast. Where y lacks a leading dimension or has it as
/// 1, products are summed along it, in order. The caller has checked the shapes. Threads share products, or parts of
/// one, whichever is faster. An element's bits depend on its own row and column alone.
void matmul_into(const Tensor& a, const Tensor& b, const Tensor& y, bool accumulate, const Tensor& bias = {},
                 const Tensor& gelu = {});

}  // namespace qing
