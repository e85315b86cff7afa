// Plain loops over tensors of doubles, as a reference for fast operations.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <vector>

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>
#include <qing/tensor/threads.h>

namespace qing::test {

inline Tensor normal(Shape shape, uint64_t seed, DType dtype = DType::f64) {
  Generator rng(seed);
  Tensor x = Tensor::empty(std::move(shape), dtype);
  rng.fill_normal(x, 0, 1);
  return x;
}

/// The element of x at `index`, by its strides.
inline double& at(const Tensor& x, const std::vector<int64_t>& index) {
  int64_t offset = 0;
  for (size_t d = 0; d < index.size(); ++d) offset += index[d] * x.strides()[d];
  return x.data<double>()[offset];
}

/// Calls body for every index of `shape`, in row-major order.
inline void for_each_index(const Shape& shape, const std::function<void(const std::vector<int64_t>&)>& body) {
  std::vector<int64_t> index(shape.size(), 0);
  for (int64_t i = 0, n = numel_of(shape); i < n; ++i) {
    body(index);
    for (size_t d = shape.size(); d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
}

inline double largest_difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double worst = 0;
  if (a.shape() != b.shape()) return worst + 1e300;
  for_each_index(a.shape(), [&](const auto& index) { worst = std::max(worst, std::abs(at(a, index) - at(b, index))); });
  return worst;
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor x = a.alias().contiguous(), y = b.alias().contiguous();
  if (x.shape() != y.shape() || x.dtype() != y.dtype()) return false;
  const auto bytes = static_cast<size_t>(x.numel()) * size_of(x.dtype());
  const auto equal = [&](const void* p, const void* q) { return bytes == 0 || std::memcmp(p, q, bytes) == 0; };
  return x.dtype() == DType::f32 ? equal(x.data<float>(), y.data<float>()) : equal(x.data<double>(), y.data<double>());
}

/// Whether body gives the same bits on one thread and on several.
inline void expect_same_bits_on_threads(const std::function<std::vector<Tensor>()>& body) {
  const int before = num_threads();
  set_num_threads(1);
  const std::vector<Tensor> one = body();
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    const std::vector<Tensor> many = body();
    EXPECT_EQ(one.size(), many.size());
    for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(same_bits(one[i], many[i])) << "result " << i;
  }
  set_num_threads(before);
}

}  // namespace qing::test
