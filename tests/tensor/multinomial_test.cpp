#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include <qing/tensor/creation.h>
#include <qing/tensor/errors.h>

namespace qing {
namespace {

TEST(Multinomial, DrawsWithTheGivenProbabilities) {
  Generator rng(5);
  const Tensor weights = Tensor::of({{1, 0, 3}, {2, 2, 0}}, DType::f64);
  const Tensor drawn = multinomial(weights, 20000, true, rng);
  ASSERT_EQ(drawn.shape(), (Shape{2, 20000}));
  std::vector<int> counts(6);
  for (int64_t row = 0; row < 2; ++row) {
    for (int64_t i = 0; i < 20000; ++i)
      ++counts[static_cast<size_t>(3 * row + drawn.select(0, row).span<int64_t>()[i])];
  }
  EXPECT_EQ(counts[1], 0);
  EXPECT_EQ(counts[5], 0);
  EXPECT_NEAR(counts[0], 5000, 250);
  EXPECT_NEAR(counts[3], 10000, 300);
}

TEST(Multinomial, WithoutReplacementEachIndexComesOnce) {
  Generator rng(6);
  const Tensor weights = Tensor::of({8, 1, 0, 1});
  int first = 0;
  for (int i = 0; i < 2000; ++i) {
    const Tensor drawn = multinomial(weights, 3, false, rng);
    const auto values = drawn.span<int64_t>();
    ASSERT_EQ(std::set<int64_t>(values.begin(), values.end()), (std::set<int64_t>{0, 1, 3}));
    first += values[0] == 0;
  }
  EXPECT_NEAR(first, 1600, 80) << "the first one is drawn like one with replacement";
}

TEST(Multinomial, RefusesWeightsThatAreNone) {
  Generator rng(7);
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_THROW(multinomial(Tensor::of({1, -1}), 1, true, rng), ValueError);
  EXPECT_THROW(multinomial(Tensor::of({1, std::nan("")}), 1, true, rng), ValueError);
  EXPECT_THROW(multinomial(Tensor::of({1, infinity}), 1, false, rng), ValueError);
  EXPECT_THROW(multinomial(Tensor::of({{1, 1}, {0, 0}}), 1, true, rng), ValueError);
  EXPECT_THROW(multinomial(Tensor::of({1, 0, 1}), 3, false, rng), ValueError);
  EXPECT_THROW(multinomial(Tensor::of({1, 1}), 0, true, rng), ValueError);
  EXPECT_THROW(multinomial(Tensor::full({1, 1, 2}, 1), 1, true, rng), ShapeError);
  EXPECT_THROW(multinomial(Tensor::of({1, 1}, DType::i64), 1, true, rng), DTypeError);
}

TEST(RandomLike, HasTheShapeAndDTypeOfItsModel) {
  Generator a(8), b(8);
  const Tensor model = Tensor::zeros({2, 3}, DType::f64);
  EXPECT_EQ(rand_like(model, a).span<double>()[4], rand({2, 3}, b, DType::f64).span<double>()[4]);
  EXPECT_EQ(randn_like(model, a).shape(), model.shape());
  EXPECT_EQ(randint_like(model, 3, 4, a).at({1, 2}), 3);
  EXPECT_THROW(rand_like(Tensor::zeros({2}, DType::i64), a), DTypeError);
}

}  // namespace
}  // namespace qing
