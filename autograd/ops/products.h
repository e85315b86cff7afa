// Matrix products.
#pragma once

#include <qing/tensor/tensor.h>

namespace qing {

Tensor matmul(const Tensor& a, const Tensor& b);  ///< [m, k] · [k, n]
/// x·Wᵀ + bias for x [..., in], W [out, in], bias [out] or undefined.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});
/// gelu(linear(x, weight, bias)) without a second pass over memory.
Tensor linear_gelu(const Tensor& x, const Tensor& weight, const Tensor& bias);

}  // namespace qing
