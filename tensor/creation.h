// Making tensors; the names are PyTorch's. Shapes are checked as by Tensor::empty (ValueError).
#pragma once

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing {

Tensor empty(Shape shape, DType dtype = DType::f32);  ///< Uninitialised.
Tensor zeros(Shape shape, DType dtype = DType::f32);
Tensor ones(Shape shape, DType dtype = DType::f32);
Tensor full(Shape shape, Scalar value, DType dtype = DType::f32);
Tensor scalar_tensor(Scalar value, DType dtype = DType::f32);  ///< shape []

// Of x's shape and dtype, contiguous.
Tensor empty_like(const Tensor& x);
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
Tensor full_like(const Tensor& x, Scalar value);

/// start, start + step, ... before `end`: ceil((end − start) / step) values. If start, end and step are whole numbers
/// that fit int64, the values are exact; otherwise they are computed in f64. Each is rounded once to the dtype.
/// ValueError if step is 0 or leads away from end, a bound is not finite, or the dtype does not hold an element.
Tensor arange(Scalar start, Scalar end, Scalar step = 1, DType dtype = DType::f32);
/// `steps` values from start to end, both included, evenly apart; steps ≥ 0.
Tensor linspace(double start, double end, int64_t steps, DType dtype = DType::f32);
Tensor eye(int64_t n, DType dtype = DType::f32);             ///< The identity, [n, n].
Tensor eye(int64_t n, int64_t m, DType dtype = DType::f32);  ///< Ones on the diagonal of [n, m].

// Random numbers. Each call takes one stream of the generator; element i depends on (seed, stream, i) alone.
Tensor rand(Shape shape, Generator& generator, DType dtype = DType::f32);   ///< Uniform in [0, 1).
Tensor randn(Shape shape, Generator& generator, DType dtype = DType::f32);  ///< Normal, mean 0, variance 1.
/// Integers of [low, high), each equally likely to within 2^-64; ValueError unless low < high and the dtype (f32, f64
/// or an integer one) holds them.
Tensor randint(int64_t low, int64_t high, Shape shape, Generator& generator, DType dtype = DType::i64);
/// 0 to n−1 in random order (Fisher & Yates), i64.
Tensor randperm(int64_t n, Generator& generator);
/// 1 with the probability that the element of p says, else 0; p and the result are f32 or f64. ValueError outside of
/// [0, 1].
Tensor bernoulli(const Tensor& p, Generator& generator);

}  // namespace qing
