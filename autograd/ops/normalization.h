// Operations that normalise rows: softmax and the norms.
#pragma once

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing {

Tensor softmax(const Tensor& x);  ///< over the last dimension
/// Normalises the last dimension (Ba et al. 2016): (x−mean)/sqrt(var+eps)·weight + bias; weight and bias are [n].
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps);
/// layer_norm(residual + dropout(x, p), weight, bias, eps) in one pass; rng null (or p 0): no dropout. Takes one stream.
Tensor dropout_add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias,
                              double eps, double p, Generator* rng);

}  // namespace qing
