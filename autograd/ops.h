// Every differentiable operation. They take and give f32 or f64 tensors, check shapes and dtypes (ShapeError,
// DTypeError, IndexError, ValueError naming the operation), record a graph when an input requires a gradient, and give
// the same bits for any number of threads. Forward and backward of each stand side by side in autograd/ops/.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing {

// --- elementwise, with NumPy's broadcasting ---
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor scale(const Tensor& x, double factor);
Tensor neg(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor gelu(const Tensor& x);  ///< x·Φ(x), by the error function (Hendrycks & Gimpel 2016)
/// Zeroes each element with probability p and scales the others by 1/(1−p) (Srivastava et al. 2014). 0 ≤ p < 1. Takes
/// one stream of `rng`.
Tensor dropout(const Tensor& x, double p, Generator& rng);

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator-(const Tensor& x) { return neg(x); }
inline Tensor operator*(const Tensor& x, double factor) { return scale(x, factor); }
inline Tensor operator*(double factor, const Tensor& x) { return scale(x, factor); }

// --- views: the result shares storage with x where x's strides allow ---
Tensor reshape(const Tensor& x, const Shape& shape);  ///< one size may be −1
Tensor transpose(const Tensor& x, int64_t a, int64_t b);
Tensor permute(const Tensor& x, const std::vector<int64_t>& order);
Tensor expand(const Tensor& x, const Shape& shape);
Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step = 1);
Tensor select(const Tensor& x, int64_t dim, int64_t index);

// --- reductions and rows ---
Tensor sum(const Tensor& x);  ///< of all elements; shape []
Tensor sum(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim = false);
Tensor mean(const Tensor& x);
Tensor mean(const Tensor& x, const std::vector<int64_t>& dims, bool keepdim = false);
Tensor softmax(const Tensor& x);  ///< over the last dimension
/// Normalises the last dimension (Ba et al. 2016): (x−mean)/sqrt(var+eps)·weight + bias; weight and bias are [n].
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps);
/// Rows `index` [n] (i32 or i64) of x [rows, ...]. IndexError names a row out of range.
Tensor index_rows(const Tensor& x, const Tensor& index);
/// Rows of a weight [entries, width] for ids of any shape (i32 or i64): ids.shape + [width].
Tensor embedding(const Tensor& weight, const Tensor& ids);
/// Mean of −log softmax(logits)[i, targets[i]] over the rows whose target is not `ignore_index`; logits [rows, classes],
/// targets [rows]. IndexError names a target out of range; ValueError if no row counts.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets, int64_t ignore_index = -100);

// --- products ---
Tensor matmul(const Tensor& a, const Tensor& b);  ///< [m, k] · [k, n]
/// x·Wᵀ + bias for x [..., in], W [out, in], bias [out] or undefined.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});
/// gelu(linear(x, weight, bias)) without a second pass over memory.
Tensor linear_gelu(const Tensor& x, const Tensor& weight, const Tensor& bias);
/// layer_norm(residual + dropout(x, p), weight, bias, eps) in one pass; rng null (or p 0): no dropout. Takes one stream.
Tensor dropout_add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias,
                              double eps, double p, Generator* rng);

/// Where each sequence of a ragged batch begins: offsets[i] to offsets[i+1], offsets[0] = 0.
using Offsets = std::vector<int64_t>;
/// Multi-head scaled dot-product attention within each sequence of a ragged batch (Vaswani et al. 2017): q is
/// [queries, heads·d], k and v [keys, heads·d]; a head takes d neighbouring columns; scores are scaled by 1/sqrt(d).
/// The queries of sequence s attend to the keys of sequence s alone. No padding exists anywhere. A sequence's result
/// depends on its own rows alone, to the bit. Attention weights are dropped with probability p when rng is not null (one
/// stream). Time O(Σ queries·keys·width); what backward keeps is O(Σ queries·keys·heads).
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& query_offsets,
                 const Offsets& key_offsets, int64_t heads, double p = 0, Generator* rng = nullptr);
/// Self-attention: queries and keys have the same offsets.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& offsets, int64_t heads, double p = 0,
                 Generator* rng = nullptr);

}  // namespace qing
