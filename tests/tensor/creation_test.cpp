#include <qing/tensor/creation.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <qing/tensor/threads.h>

namespace qing {
namespace {

std::vector<double> values_of(const Tensor& x) {
  const Tensor dense = x.to(DType::f64).contiguous();
  const auto span = dense.span<double>();
  return {span.begin(), span.end()};
}
using Values = std::vector<double>;

TEST(Creation, ConstantsAndLikes) {
  EXPECT_EQ(values_of(ones({2}, DType::bf16)), (Values{1, 1}));
  EXPECT_EQ(values_of(full_like(zeros({2}, DType::u8), 7)), (Values{7, 7}));
  EXPECT_EQ(ones_like(Tensor::empty({2, 3}, DType::i8).transpose(0, 1)).shape(), (Shape{3, 2}));
  EXPECT_EQ(zeros_like(Tensor::full({3}, 4)).at({2}), 0);
  EXPECT_EQ(empty_like(Tensor::empty({2}, DType::f16)).dtype(), DType::f16);
  EXPECT_EQ(scalar_tensor(2.5).shape(), Shape{});
}

TEST(Creation, ArangeAndLinspaceAreThoseOfPyTorch) {
  EXPECT_EQ(values_of(arange(1, 2, 0.25)), (Values{1, 1.25, 1.5, 1.75}));
  EXPECT_EQ(values_of(arange(3, -2, -2, DType::i32)), (Values{3, 1, -1}));
  EXPECT_EQ(arange(2, 2).numel(), 0);
  EXPECT_EQ(values_of(linspace(0, 1, 5)), (Values{0, 0.25, 0.5, 0.75, 1}));
  EXPECT_EQ(values_of(linspace(2, 3, 1)), (Values{2}));
  EXPECT_EQ(linspace(0.1, 0.7, 1000, DType::f64).at({-1}), 0.7);
  EXPECT_EQ(linspace(0, 1, 0).numel(), 0);
  EXPECT_THROW(arange(0, 1, 0), ValueError);
  EXPECT_THROW(arange(0, 1, -1), ValueError);
  EXPECT_THROW(arange(0, INFINITY), ValueError);
  EXPECT_THROW(arange(0, 1e18), ValueError);
  EXPECT_THROW(linspace(0, 1, -1), ValueError);
}

// 2^60 and 2^60 + 1 are equal in f64.
TEST(Creation, ArangeComparesWholeBoundsExactly) {
  constexpr int64_t k = int64_t{1} << 60;
  EXPECT_THROW(arange(k + 1, k, 2, DType::i64), ValueError);
  EXPECT_THROW(arange(k, k + 1, -2, DType::i64), ValueError);
  EXPECT_EQ(arange(k, k, 2, DType::i64).numel(), 0);
  const Tensor down = arange(k + 1, k, -2, DType::i64), up = arange(k, k + 3, 2, DType::i64);
  ASSERT_EQ(down.numel(), 1);
  EXPECT_EQ(down.data<int64_t>()[0], k + 1);
  ASSERT_EQ(up.numel(), 2);
  EXPECT_EQ(up.data<int64_t>()[1], k + 2);
}

TEST(Creation, Eye) {
  EXPECT_EQ(values_of(eye(2)), (Values{1, 0, 0, 1}));
  EXPECT_EQ(values_of(eye(2, 3, DType::boolean)), (Values{1, 0, 0, 0, 1, 0}));
  EXPECT_EQ(eye(0, 3).shape(), (Shape{0, 3}));
}

TEST(Creation, NestedLists) {
  const Tensor x = Tensor::of({{1, 2, 3}, {4, 5.5, 6}});
  EXPECT_EQ(x.shape(), (Shape{2, 3}));
  EXPECT_EQ(x.dtype(), DType::f32);
  EXPECT_EQ(values_of(x), (Values{1, 2, 3, 4, 5.5, 6}));
  EXPECT_EQ(Tensor::of(7).shape(), Shape{});
  EXPECT_EQ(Tensor::of({7}).shape(), Shape{1});
  EXPECT_EQ(Tensor::of({{7}}).shape(), (Shape{1, 1}));
  EXPECT_EQ(Tensor::of({{{1}, {2}}}).shape(), (Shape{1, 2, 1}));
  EXPECT_EQ(Tensor::of({}).shape(), Shape{0});
  EXPECT_EQ(Tensor::of({true, false}, DType::boolean).at({0}), 1);
  const int64_t odd = (int64_t{1} << 53) + 1;
  EXPECT_EQ(Tensor::of({odd}, DType::i64).data<int64_t>()[0], odd);
}

TEST(Creation, RaggedListsAreRefused) {
  EXPECT_THROW(Tensor::of({{1, 2}, {3}}), ShapeError);
  EXPECT_THROW(Tensor::of({{1, 2}, {3, 4, 5}}), ShapeError);
  EXPECT_THROW(Tensor::of({{1, 2}, 3}), ShapeError);
  EXPECT_THROW(Tensor::of({1, {2}}), ShapeError);
  EXPECT_THROW(Tensor::of({{}, {1}}), ShapeError);
}

TEST(Creation, RandomNumbersDoNotDependOnThreads) {
  const int before = num_threads();
  const auto draw = [](int threads) {
    set_num_threads(threads);
    Generator generator(5);
    Values all;
    for (const Tensor& x : {rand({20000}, generator), randn({20000}, generator), randperm(1000, generator),
                            randint(-5, 5, {20000}, generator), bernoulli(full({20000}, 0.3), generator)}) {
      const Values values = values_of(x);
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  EXPECT_EQ(draw(1), draw(4));
  set_num_threads(before);
}

TEST(Creation, RandomNumbersHaveTheirDistributions) {
  Generator generator(1);
  const Values coin = values_of(bernoulli(full({100000}, 0.3, DType::f64), generator));
  EXPECT_NEAR(std::count(coin.begin(), coin.end(), 1.0), 30000, 600);
  const Values dice = values_of(randint(-3, 3, {60000}, generator, DType::i8));
  for (int face = -3; face < 3; ++face) EXPECT_NEAR(std::count(dice.begin(), dice.end(), face), 10000, 400) << face;
  EXPECT_EQ(std::count(dice.begin(), dice.end(), 3), 0);
  using Limits = std::numeric_limits<int64_t>;
  const Values wide = values_of(randint(Limits::min(), Limits::max(), {1000}, generator));
  EXPECT_NEAR(std::count_if(wide.begin(), wide.end(), [](double v) { return v < 0; }), 500, 70);
  Values order = values_of(randperm(1000, generator));
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(order[i], i);
  // All six orders of three are about equally frequent.
  std::vector<int> seen(27, 0);
  for (int i = 0; i < 6000; ++i) {
    const Values p = values_of(randperm(3, generator));
    ++seen[static_cast<size_t>(9 * p[0] + 3 * p[1] + p[2])];
  }
  for (const int count : seen) EXPECT_TRUE(count == 0 || std::abs(count - 1000) < 130) << count;
  EXPECT_EQ(values_of(bernoulli(full({3}, 1), generator)), (Values{1, 1, 1}));
  EXPECT_EQ(values_of(bernoulli(full({3}, 0), generator)), (Values{0, 0, 0}));
}

TEST(Creation, RandomArgumentsAreChecked) {
  Generator generator(1);
  EXPECT_THROW(randint(3, 3, {2}, generator), ValueError);
  EXPECT_THROW(randint(0, 257, {2}, generator, DType::u8), ValueError);
  EXPECT_THROW(randint(0, 2, {2}, generator, DType::boolean), DTypeError);
  EXPECT_THROW(bernoulli(full({2}, 1.5), generator), ValueError);
  EXPECT_THROW(bernoulli(full({2}, NAN), generator), ValueError);
  EXPECT_THROW(bernoulli(zeros({2}, DType::i32), generator), DTypeError);
  EXPECT_THROW(rand({2}, generator, DType::i32), DTypeError);
  EXPECT_THROW(randperm(-1, generator), ValueError);
}

}  // namespace
}  // namespace qing
