// Inputs of samples. All functions return the same numbers at every call.
#pragma once

#include <initializer_list>

#include <qing/autograd/autograd.h>
#include <qing/tensor/random.h>

#include "autograd/op_samples.h"

namespace qing::test {

/// A leaf of normal numbers. Different streams give different inputs of one sample.
inline Tensor leaf(Shape shape, uint64_t stream = 0, double mean = 0, double stddev = 1) {
  Generator rng(7);
  rng.restore(7, stream);
  Tensor x = Tensor::empty(std::move(shape), DType::f64);
  rng.fill_normal(x, mean, stddev);
  return set_requires_grad(x);
}

/// A leaf of uniform numbers.
inline Tensor uniform(Shape shape, double low, double high, uint64_t stream = 0) {
  Generator rng(9);
  rng.restore(9, stream);
  Tensor x = Tensor::empty(std::move(shape), DType::f64);
  rng.fill_uniform(x, low, high);
  return set_requires_grad(x);
}

inline Tensor positive(Shape shape, uint64_t stream = 0) { return uniform(std::move(shape), 0.5, 2, stream); }

/// One leaf per shape.
inline Inputs leaves(std::initializer_list<Shape> shapes) {
  Inputs inputs;
  for (const Shape& shape : shapes) inputs.push_back(leaf(shape, inputs.size()));
  return inputs;
}

inline Tensor ids(std::initializer_list<int64_t> values, Shape shape) {
  return Tensor::from<int64_t>(values, std::move(shape));
}

}  // namespace qing::test
