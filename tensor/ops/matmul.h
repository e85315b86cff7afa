// Products of batches of matrices of any strides, without gradients.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

/// x if GEMM can read the matrices of its last two dimensions in place (one of the two strides is 1; a transposed
/// matrix is read as such), else a contiguous copy. A vector is left alone.
Tensor gemm_readable(const Tensor& x);

/// y = a·b (+ bias on every row), or y += a·b when accumulate: a [..., m, k], b [..., k, n], y [..., m, n] with dense
/// matrices, bias [n] or undefined; all of one dtype, f32 or f64. gelu(y) goes to `gelu` if it is defined: y itself, or
/// a tensor that lies as y does. The leading dimensions of a and b broadcast; products whose leading dimension y lacks,
/// or has as 1, are summed, in order. The caller has checked the shapes. Spreads over products or within them,
/// whichever is faster: an element's bits depend on its own row and column alone.
void matmul_into(const Tensor& a, const Tensor& b, const Tensor& y, bool accumulate, const Tensor& bias = {},
                 const Tensor& gelu = {});

}  // namespace qing
