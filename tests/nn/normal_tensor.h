// Random tensors of tests.
#pragma once

#include <utility>

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing::test {

/// Standard normal numbers in f32.
inline Tensor normal(Shape shape, Generator& rng) {
  Tensor x = Tensor::empty(std::move(shape));
  rng.fill_normal(x, 0, 1);
  return x;
}

}  // namespace qing::test
