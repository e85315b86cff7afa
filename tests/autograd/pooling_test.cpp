#include <qing/autograd/ops/pooling.h>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops/reductions.h>

#include "autograd/naive.h"

namespace qing {
namespace {

using test::at;
using test::normal;

struct Case {
  Tensor x;
  Size2d kernel, stride, padding, dilation;

  int64_t out(int64_t d) const {
    const auto of = [d](Size2d s) { return d == 0 ? s.h : s.w; };
    return (x.size(d - 2) + 2 * of(padding) - of(dilation) * (of(kernel) - 1) - 1) / of(stride) + 1;
  }
  // Calls body(element) for all elements in window (i, j) of a plane.
  template <class Body> void window(const std::vector<int64_t>& index, Body body) const {
    for (int64_t k = 0; k < kernel.h; ++k) {
      for (int64_t l = 0; l < kernel.w; ++l) {
        const int64_t r = index[2] * stride.h - padding.h + k * dilation.h,
                      c = index[3] * stride.w - padding.w + l * dilation.w;
        if (r >= 0 && r < x.size(2) && c >= 0 && c < x.size(3))
          body(at(x, {index[0], index[1], r, c}), r * x.size(3) + c);
      }
    }
  }
};

Case any_case(bool dilated) {
  const auto upto = [](int64_t n) { return *rc::gen::inRange<int64_t>(1, n + 1); };
  Case c{{}, {upto(4), upto(4)}, {upto(3), upto(3)}, 0, 1};
  if (dilated) c.dilation = {upto(2), upto(2)};
  c.padding = {*rc::gen::inRange<int64_t>(0, c.kernel.h / 2 + 1), *rc::gen::inRange<int64_t>(0, c.kernel.w / 2 + 1)};
  c.x = normal({upto(2), upto(3), c.dilation.h * c.kernel.h + upto(4) - 1, c.dilation.w * c.kernel.w + upto(4) - 1}, 1);
  return c;
}

TEST(MaxPool2d, EqualsTheLargestOfEachWindow) {
  EXPECT_TRUE(rc::check([] {
    const Case c = any_case(true);
    const Pooled y =
        max_pool2d_with_indices(c.x, c.kernel, {.stride = c.stride, .padding = c.padding, .dilation = c.dilation});
    RC_ASSERT(y.values.shape() == (Shape{c.x.size(0), c.x.size(1), c.out(0), c.out(1)}));
    test::for_each_index(y.values.shape(), [&](const std::vector<int64_t>& i) {
      double best = -std::numeric_limits<double>::infinity();
      int64_t where = -1;
      c.window(i, [&](double v, int64_t position) {
        if (v > best) where = position;
        best = std::max(best, v);
      });
      RC_ASSERT(at(y.values, i) == best);
      Tensor index = y.indices;
      for (const int64_t k : i) index = index.select(0, k);
      RC_ASSERT(static_cast<int64_t>(index.item()) == where);
    });
  }));
}

TEST(AvgPool2d, EqualsTheMeanOfEachWindow) {
  EXPECT_TRUE(rc::check([] {
    const Case c = any_case(false);
    const bool padding_counts = *rc::gen::arbitrary<bool>();
    const Tensor y =
        avg_pool2d(c.x, c.kernel, {.stride = c.stride, .padding = c.padding, .count_include_pad = padding_counts});
    RC_ASSERT(y.shape() == (Shape{c.x.size(0), c.x.size(1), c.out(0), c.out(1)}));
    test::for_each_index(y.shape(), [&](const std::vector<int64_t>& i) {
      double total = 0;
      int64_t count = 0;
      c.window(i, [&](double v, int64_t) {
        total += v;
        ++count;
      });
      RC_ASSERT(std::abs(at(y, i) - total / static_cast<double>(padding_counts ? c.kernel.h * c.kernel.w : count)) <
                1e-14);
    });
  }));
}

TEST(MaxPool2d, TakesTheFirstOfEqualsAndNaN) {
  const double nan = std::nan("");
  const Tensor x =
      Tensor::from<double>({1, 1, 1, 1, 2, nan, 3, nan, -INFINITY, -INFINITY, -INFINITY, -INFINITY}, {3, 1, 2, 2});
  const Pooled y = max_pool2d_with_indices(x, 2);
  EXPECT_EQ(y.indices.select(0, 0).item(), 0);
  EXPECT_EQ(y.indices.select(0, 1).item(), 1);
  EXPECT_TRUE(std::isnan(y.values.select(0, 1).item()));
  EXPECT_EQ(y.values.select(0, 2).item(), -INFINITY);
}

TEST(Pooling, RoundsUpTheNumberOfWindowsOnlyWhereOneBegins) {
  const Tensor x = normal({1, 1, 5}, 1);
  EXPECT_EQ(max_pool1d(x, 2, {.stride = 2}).size(-1), 2);
  EXPECT_EQ(max_pool1d(x, 2, {.stride = 2, .ceil_mode = true}).size(-1), 3);
  EXPECT_EQ(max_pool1d(normal({1, 1, 4}, 1), 1, {.stride = 3, .ceil_mode = true}).size(-1), 2);
  EXPECT_EQ(max_pool1d(normal({1, 1, 3}, 1), 2, {.stride = 5, .padding = 1, .ceil_mode = true}).size(-1), 1);
  EXPECT_NEAR(avg_pool1d(x, 2, {.stride = 2, .ceil_mode = true}).select(-1, 2).item(), at(x, {0, 0, 4}), 1e-15);
}

TEST(AdaptiveAvgPool2d, OfOneIsTheMeanOfThePlaneAndOfTheSameSizeIsX) {
  const Tensor x = normal({2, 3, 5, 4}, 1);
  EXPECT_LT(test::largest_difference(adaptive_avg_pool2d(x, 1), mean(x, {2, 3}, true)), 1e-15);
  EXPECT_TRUE(test::same_bits(adaptive_avg_pool2d(x, {5, 4}), x));
  EXPECT_LT(test::largest_difference(adaptive_avg_pool2d(x, {2, 4}).select(2, 1), mean(x.slice(2, 2, 5), {2})), 1e-15);
}

TEST(Pooling, GivesTheSameBitsOnAnyNumberOfThreads) {
  Tensor x = normal({3, 5, 60, 61}, 1, DType::f32);
  set_requires_grad(x);
  test::expect_same_bits_on_threads([&] {
    zero_grad(x);
    const Tensor a = max_pool2d(x, 3, {.stride = 2, .padding = 1}), b = avg_pool2d(x, 3, {.stride = 1});
    backward(sum(a));
    backward(sum(b));
    return std::vector<Tensor>{a, b, grad(x).clone()};
  });
}

TEST(Pooling, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({1, 1, 4, 4});
  EXPECT_THROW(max_pool2d(Tensor::zeros({4, 4}), 2), ShapeError);
  EXPECT_THROW(max_pool2d(x, 5), ShapeError);
  EXPECT_THROW(max_pool2d(x, 0), ValueError);
  EXPECT_THROW(max_pool2d(x, 2, {.stride = -1}), ValueError);
  EXPECT_THROW(max_pool2d(x, 2, {.padding = 2}), ValueError);
  EXPECT_THROW(max_pool2d(x, 2, {.dilation = 0}), ValueError);
  EXPECT_THROW(max_pool1d(Tensor::zeros({1, 1}), 2, {.padding = 2, .dilation = 3}), ShapeError);
  EXPECT_THROW(avg_pool2d(x, 2, {.padding = INT64_MAX}), ValueError);
  EXPECT_THROW(avg_pool2d(x, 2, {.divisor_override = -1}), ValueError);
  EXPECT_THROW(avg_pool2d(Tensor::zeros({1, 1, 4, 4}, DType::i64), 2), DTypeError);
  EXPECT_THROW(adaptive_avg_pool2d(x, -1), ValueError);
  EXPECT_THROW(adaptive_avg_pool2d(Tensor::zeros({1, 1, 0, 4}), 1), ShapeError);
  EXPECT_THROW(interpolate(Tensor::zeros({4}), 2), ShapeError);
  EXPECT_EQ(max_pool2d(Tensor::zeros({0, 3, 4, 4}), 2).shape(), (Shape{0, 3, 2, 2}));
}

}  // namespace
}  // namespace qing
