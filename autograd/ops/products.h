// Matrix products of f32 or f64 (DTypeError). ShapeError if shapes do not fit.
#pragma once

#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// a·b as torch.matmul: [..., m, k] · [..., k, n]; leading dimensions broadcast. A vector [k] is a row on the left and
/// a column on the right; the result lacks its dimension. Transposed operands are read in place. Cost: 2mnk FLOP per
/// product.
Tensor matmul(const Tensor& a, const Tensor& b);
Tensor mm(const Tensor& a, const Tensor& b);            ///< [m, k] · [k, n]
Tensor bmm(const Tensor& a, const Tensor& b);           ///< [batch, m, k] · [batch, k, n]
Tensor mv(const Tensor& matrix, const Tensor& vector);  ///< [m, k] · [k]
Tensor dot(const Tensor& a, const Tensor& b);           ///< [k] · [k]; shape []
Tensor outer(const Tensor& a, const Tensor& b);         ///< [m], [n] → [m, n]
/// beta·input + alpha·mm(a, b); input broadcasts, and is not read when beta is 0.
Tensor addmm(const Tensor& input, const Tensor& a, const Tensor& b, double beta = 1, double alpha = 1);
/// beta·input + alpha·bmm(a, b). input broadcasts, and is not read when beta is 0.
Tensor baddbmm(const Tensor& input, const Tensor& a, const Tensor& b, double beta = 1, double alpha = 1);
/// x·Wᵀ + bias for x [..., in], W [out, in], bias [out] or undefined.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});
/// Several linear layers of one input as one product: [..., Σ out], the results of linear(x, weights[i], biases[i])
/// side by side, with equal bits. There are as many biases as weights, none undefined.
Tensor linear_joined(const Tensor& x, const std::vector<Tensor>& weights, const std::vector<Tensor>& biases);
/// y[..., o] = Σ a[..., i]·weight[o, i, j]·b[..., j] + bias[o].
Tensor bilinear(const Tensor& a, const Tensor& b, const Tensor& weight, const Tensor& bias = {});
/// gelu(linear(x, weight, bias)) without a second pass over memory.
Tensor linear_gelu(const Tensor& x, const Tensor& weight, const Tensor& bias);

}  // namespace qing
