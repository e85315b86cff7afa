// Functions that make tensors, under PyTorch's names. All results are contiguous and own their storage. ValueError if a
// size is negative or the elements or bytes overflow 64 bits. Thread-safe, but a Generator serves one thread at a time.
#pragma once

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing {

Tensor empty(Shape shape, DType dtype = DType::f32);  ///< Uninitialised.
Tensor zeros(Shape shape, DType dtype = DType::f32);
Tensor ones(Shape shape, DType dtype = DType::f32);
/// ValueError if an integer dtype does not hold the value (see Scalar); so in scalar_tensor and full_like.
Tensor full(Shape shape, Scalar value, DType dtype = DType::f32);
Tensor scalar_tensor(Scalar value, DType dtype = DType::f32);  ///< Shape [].

// Of x's shape and dtype.
Tensor empty_like(const Tensor& x);
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
Tensor full_like(const Tensor& x, Scalar value);

/// 1-D: start, start + step, ... before `end`, ceil((end − start) / step) values. They are exact if start, end and step
/// are whole numbers that fit int64; otherwise they are computed in f64. Each is rounded once to the dtype. ValueError
/// if step is 0 or leads away from end, a number is not finite, there are 2^53 values or more, or the dtype does not
/// hold an element.
Tensor arange(Scalar start, Scalar end, Scalar step = 1, DType dtype = DType::f32);
/// `steps` evenly spaced values from start to end, both included. ValueError if steps < 0 or an integer dtype does not
/// hold an element.
Tensor linspace(double start, double end, int64_t steps, DType dtype = DType::f32);
Tensor eye(int64_t n, DType dtype = DType::f32);             ///< The identity, [n, n].
Tensor eye(int64_t n, int64_t m, DType dtype = DType::f32);  ///< Ones on the diagonal of [n, m].

// Random numbers. Each call takes one stream of the generator. Element i depends on (seed, stream, i) alone.
Tensor rand(Shape shape, Generator& generator, DType dtype = DType::f32);   ///< Uniform in [0, 1).
Tensor randn(Shape shape, Generator& generator, DType dtype = DType::f32);  ///< Normal, mean 0, variance 1.
/// Uniform integers of [low, high); probabilities are equal to within 2^-64. ValueError unless low < high and the dtype
/// holds them; DTypeError unless it is f32, f64 or an integer one.
Tensor randint(int64_t low, int64_t high, Shape shape, Generator& generator, DType dtype = DType::i64);
/// 0 to n−1 in random order (Fisher & Yates), i64 [n].
Tensor randperm(int64_t n, Generator& generator);
Tensor rand_like(const Tensor& x, Generator& generator);   ///< Of x's shape and dtype, f32 or f64 (DTypeError).
Tensor randn_like(const Tensor& x, Generator& generator);  ///< Likewise.
Tensor randint_like(const Tensor& x, int64_t low, int64_t high, Generator& generator);
/// `samples` indices for each row of weights [rows, n] or [n]: i64 [rows, samples] or [samples]. An index is drawn with
/// probability weight / sum of the row; without replacement each at most once. ShapeError for other shapes, DTypeError
/// unless f32 or f64, ValueError for a weight that is negative or not finite, for a row of zeros, and without
/// replacement for fewer weights above 0 than samples.
Tensor multinomial(const Tensor& weights, int64_t samples, bool replacement, Generator& generator);
/// Element i is 1 with probability p[i], else 0. p and the result are f32 or f64 (DTypeError). ValueError unless every
/// p is in [0, 1].
Tensor bernoulli(const Tensor& p, Generator& generator);

}  // namespace qing
