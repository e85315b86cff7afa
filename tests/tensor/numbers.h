// Random operands of products.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing::test {

/// n standard normal numbers.
template <class T> std::vector<T> numbers(int64_t n, uint64_t seed) {
  Generator rng(seed);
  Tensor t = Tensor::empty({n}, dtype_of<T>);
  rng.fill_normal(t, 0, 1);
  const auto values = t.template span<T>();
  return {values.begin(), values.end()};
}

}  // namespace qing::test
