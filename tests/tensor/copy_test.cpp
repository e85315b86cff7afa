// Copies between layouts: by rows, by blocks that are transposed in registers, or element by element.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

// Any bits, including NaN and denormals.
template <class T> Tensor any_bits(const Shape& shape, uint64_t seed) {
  Tensor x = Tensor::empty(shape, dtype_of<T>);
  Generator rng(seed);
  for (int64_t i = 0; i < x.numel(); ++i) {
    const uint64_t bits = rng.next_u64();
    std::memcpy(x.data<T>() + i, &bits, sizeof(T));
  }
  return x;
}

template <class T> void expect_copies_of_every_permutation(const Shape& shape) {
  const Tensor x = any_bits<T>(shape, 3);
  std::vector<int64_t> order(shape.size());
  std::iota(order.begin(), order.end(), 0);
  do {
    const Tensor view = x.permute(order), copy = view.contiguous();
    ASSERT_TRUE(copy.is_contiguous());
    std::vector<int64_t> index(shape.size(), 0);
    for (int64_t i = 0; i < copy.numel(); ++i) {
      int64_t offset = 0;
      for (size_t d = 0; d < index.size(); ++d) offset += index[d] * view.strides()[d];
      ASSERT_EQ(std::memcmp(copy.data<T>() + i, view.data<T>() + offset, sizeof(T)), 0)
          << "element " << i << " of " << to_string(view.shape());
      for (size_t d = index.size(); d-- > 0;) {
        if (++index[d] < view.size(static_cast<int64_t>(d))) break;
        index[d] = 0;
      }
    }
    // Back again, into a view.
    Tensor back = Tensor::zeros(shape, x.dtype());
    back.permute(order).copy_from(copy);
    ASSERT_EQ(std::memcmp(back.data<T>(), x.data<T>(), static_cast<size_t>(x.numel()) * sizeof(T)), 0);
  } while (std::next_permutation(order.begin(), order.end()));
}

const Shape kShapes[] = {{1, 1}, {5, 3}, {64, 65}, {130, 70}, {300, 1}, {3, 17, 66}, {2, 70, 5, 33}};

TEST(Copies, OfEveryPermutationHoldEveryElement) {
  for (const Shape& shape : kShapes) {
    expect_copies_of_every_permutation<float>(shape);
    expect_copies_of_every_permutation<double>(shape);
    expect_copies_of_every_permutation<int32_t>(shape);
    expect_copies_of_every_permutation<uint8_t>(shape);
  }
}

TEST(Copies, OfPartsLeaveTheRestAlone) {
  Tensor to = Tensor::full({100, 90}, 7, DType::f32);
  const Tensor from = any_bits<float>({80, 95}, 4);
  to.slice(0, 3, 96).slice(1, 5, 84).copy_from(from.slice(1, 1, 94).slice(0, 1, 80).transpose(0, 1));
  for (int64_t i = 0; i < 100; ++i) {
    for (int64_t j = 0; j < 90; ++j) {
      const float seven = 7;
      const bool inside = i >= 3 && i < 96 && j >= 5 && j < 84;
      const float* want = inside ? from.data<float>() + (j - 4) * 95 + i - 2 : &seven;
      ASSERT_EQ(std::memcmp(to.data<float>() + i * 90 + j, want, sizeof(float)), 0) << i << ", " << j;
    }
  }
}

TEST(Copies, OfARowSpreadOverManyFillIt) {
  const Tensor row = any_bits<float>({70}, 5);
  const Tensor spread = row.expand({40, 70}).contiguous(),
               transposed = row.expand({40, 70}).transpose(0, 1).contiguous();
  for (int64_t i = 0; i < 40; ++i) {
    for (int64_t j = 0; j < 70; ++j) {
      ASSERT_EQ(std::memcmp(spread.data<float>() + i * 70 + j, row.data<float>() + j, sizeof(float)), 0);
      ASSERT_EQ(std::memcmp(transposed.data<float>() + j * 40 + i, row.data<float>() + j, sizeof(float)), 0);
    }
  }
}

}  // namespace
}  // namespace qing
