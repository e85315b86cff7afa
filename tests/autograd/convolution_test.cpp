#include <qing/autograd/ops/convolution.h>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/autograd/ops/reductions.h>
#include <qing/tensor/threads.h>

#include "autograd/naive.h"

namespace qing {
namespace {

using test::at;
using test::normal;

// The definition: seven loops.
Tensor naive_conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const Conv2dOptions& o) {
  const auto out = [](int64_t in, int64_t k, int64_t s, int64_t p, int64_t d) {
    return (in + 2 * p - d * (k - 1) - 1) / s + 1;
  };
  const Shape shape{x.size(0), w.size(0), out(x.size(2), w.size(2), o.stride.h, o.padding.h, o.dilation.h),
                    out(x.size(3), w.size(3), o.stride.w, o.padding.w, o.dilation.w)};
  const Tensor y = Tensor::zeros(shape, DType::f64);
  const int64_t channels = w.size(1), filters = w.size(0) / o.groups;
  test::for_each_index(shape, [&](const std::vector<int64_t>& i) {
    double total = bias.defined() ? at(bias, {i[1]}) : 0;
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t k = 0; k < w.size(2); ++k) {
        for (int64_t l = 0; l < w.size(3); ++l) {
          const int64_t row = i[2] * o.stride.h - o.padding.h + k * o.dilation.h;
          const int64_t column = i[3] * o.stride.w - o.padding.w + l * o.dilation.w;
          if (row < 0 || row >= x.size(2) || column < 0 || column >= x.size(3)) continue;
          total += at(w, {i[1], c, k, l}) * at(x, {i[0], i[1] / filters * channels + c, row, column});
        }
      }
    }
    at(y, i) = total;
  });
  return y;
}

struct Case {
  Tensor x, w, bias;
  Conv2dOptions options;
};

Case any_case() {
  const auto upto = [](int64_t n) { return *rc::gen::inRange<int64_t>(1, n + 1); };
  const int64_t groups = upto(3), channels = upto(3), filters = upto(3);
  const Size2d kernel{upto(4), upto(4)};
  const Size2d padding{upto(3) - 1, upto(3) - 1}, dilation{upto(3), upto(3)};
  const auto size = [&](int64_t k, int64_t p, int64_t d) {
    return std::max<int64_t>(1, d * (k - 1) + 1 - 2 * p) + upto(*rc::gen::element<int64_t>(4, 11)) - 1;
  };
  const Shape x{*rc::gen::inRange<int64_t>(0, 4), groups * channels, size(kernel.h, padding.h, dilation.h),
                size(kernel.w, padding.w, dilation.w)};
  return {normal(x, 1),
          normal({groups * filters, channels, kernel.h, kernel.w}, 2),
          *rc::gen::arbitrary<bool>() ? normal({groups * filters}, 3) : Tensor(),
          {.stride = {upto(3), upto(3)}, .padding = padding, .dilation = dilation, .groups = groups}};
}

TEST(Conv2d, EqualsSevenLoops) {
  EXPECT_TRUE(rc::check([] {
    const Case c = any_case();
    RC_ASSERT(test::largest_difference(conv2d(c.x, c.w, c.bias, c.options), naive_conv2d(c.x, c.w, c.bias, c.options)) <
              1e-12);
  }));
}

// With as many channels and filters as fill vectors of every instruction set, and more.
Case any_wide_case() {
  const auto from = [](int64_t low, int64_t high) { return *rc::gen::inRange<int64_t>(low, high + 1); };
  const int64_t groups = from(1, 2), channels = *rc::gen::element<int64_t>(1, 3, 16, 33), filters = from(8, 40);
  const Size2d kernel{from(1, 3), from(1, 3)}, stride{from(1, 3), from(1, 3)}, dilation{from(1, 2), from(1, 2)};
  const Size2d padding{from(0, 2), from(0, 2)};
  const Shape x{from(0, 3), groups * channels, from(5, 17), from(5, 17)};
  return {normal(x, 1),
          normal({groups * filters, channels, kernel.h, kernel.w}, 2),
          *rc::gen::arbitrary<bool>() ? normal({groups * filters}, 3) : Tensor(),
          {.stride = stride, .padding = padding, .dilation = dilation, .groups = groups}};
}

TEST(Conv2d, OfManyChannelsEqualsSevenLoops) {
  EXPECT_TRUE(rc::check([] {
    const Case c = any_wide_case();
    RC_ASSERT(test::largest_difference(conv2d(c.x, c.w, c.bias, c.options), naive_conv2d(c.x, c.w, c.bias, c.options)) <
              1e-11);
  }));
}

// L = Σ dy·conv(x, w) is linear in each of the three: its value is the inner product of each with its gradient.
TEST(Conv2d, GradientsOfManyChannelsAreItsTransposes) {
  EXPECT_TRUE(rc::check([] {
    Case c = any_wide_case();
    if (*rc::gen::arbitrary<bool>()) c.w = normal({c.w.size(0), c.w.size(1), 1, 1}, 2);
    Tensor x = c.x.clone(), w = c.w.clone();
    set_requires_grad(x);
    set_requires_grad(w);
    const Tensor y = conv2d(x, w, {}, c.options);
    const Tensor dy = normal(y.shape(), 4);
    const double loss = sum(y.alias() * dy).item();
    // The second backward adds to the gradients.
    backward(sum(y * dy));
    backward(sum(conv2d(x, w, {}, c.options) * dy));
    RC_ASSERT(std::abs(sum(grad(x) * c.x).item() - 2 * loss) < 1e-8);
    RC_ASSERT(std::abs(sum(grad(w) * c.w).item() - 2 * loss) < 1e-8);
    // One element of each against the definition.
    if (c.x.numel() == 0) return;
    Tensor one = Tensor::zeros(c.x.shape(), DType::f64);
    const int64_t at = *rc::gen::inRange<int64_t>(0, c.x.numel());
    one.data<double>()[at] = 1;
    const double slope = sum(naive_conv2d(one, c.w, {}, c.options) * dy).item();
    RC_ASSERT(std::abs(grad(x).data<double>()[at] - 2 * slope) < 1e-9);
    Tensor weight = Tensor::zeros(c.w.shape(), DType::f64);
    const int64_t tap = *rc::gen::inRange<int64_t>(0, c.w.numel());
    weight.data<double>()[tap] = 1;
    const double steepness = sum(naive_conv2d(c.x, weight, {}, c.options) * dy).item();
    RC_ASSERT(std::abs(grad(w).data<double>()[tap] - 2 * steepness) < 1e-9);
  }));
}

TEST(Conv2d, OfAnImageHasTheSameBitsInEveryBatchAndForAnyThreads) {
  Generator rng(1);
  Tensor x = Tensor::empty({5, 24, 13, 11}), w = Tensor::empty({40, 24, 3, 3});
  rng.fill_normal(x, 0, 1);
  rng.fill_normal(w, 0, 1);
  const auto gradients_of = [&](const Tensor& images) {
    Tensor leaf = images.clone(), weight = w.clone();
    set_requires_grad(leaf);
    set_requires_grad(weight);
    const Tensor y = conv2d(leaf, weight, {}, {.stride = 2, .padding = 1});
    backward(sum(y * y));
    return std::vector<Tensor>{y.alias(), grad(leaf), grad(weight)};
  };
  const int threads = num_threads();
  const auto whole = gradients_of(x), one = gradients_of(x.slice(0, 3, 4).contiguous());
  EXPECT_TRUE(test::same_bits(whole[0].slice(0, 3, 4), one[0]));
  EXPECT_TRUE(test::same_bits(whole[1].slice(0, 3, 4), one[1]));
  for (const int other : {1, 3, 7}) {
    set_num_threads(other);
    const auto again = gradients_of(x);
    for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(test::same_bits(again[i], whole[i])) << other << " threads, " << i;
  }
  set_num_threads(threads);
}

// Larger than one chunk.
TEST(Conv2d, OfManyRowsEqualsSevenLoops) {
  for (const int64_t filters : {1, 4, 5}) {
    const Tensor x = normal({1, 2, 71, 130}, 1), w = normal({2 * filters, 1, 3, 2}, 2), bias = normal({2 * filters}, 3);
    const Conv2dOptions options{.padding = {1, 0}, .groups = 2};
    EXPECT_LT(test::largest_difference(conv2d(x, w, bias, options), naive_conv2d(x, w, bias, options)), 1e-12);
  }
}

double inner(const Tensor& a, const Tensor& b) { return sum(mul(a, b)).item(); }

// ⟨conv(x, w), u⟩ is linear in x and in w, so that it equals ⟨x, its gradient⟩ and ⟨w, its gradient⟩; the transposed
// convolution is the first of these.
TEST(Conv2d, GradientsAreItsTransposes) {
  EXPECT_TRUE(rc::check([] {
    Case c = any_case();
    set_requires_grad(c.x);
    set_requires_grad(c.w);
    const Tensor y = conv2d(c.x, c.w, {}, c.options);
    const Tensor u = normal(y.shape(), 5);
    backward(y, {.gradient = u});
    const double value = inner(y.alias(), u), bound = 1e-11 * (1 + std::abs(value));
    RC_ASSERT(std::abs(inner(c.x.alias(), grad(c.x)) - value) < bound);
    RC_ASSERT(std::abs(inner(c.w.alias(), grad(c.w)) - value) < bound);
  }));
}

TEST(ConvTranspose2d, IsTheGradientByTheInput) {
  EXPECT_TRUE(rc::check([] {
    Case c = any_case();
    set_requires_grad(c.x);
    const Tensor y = conv2d(c.x, c.w, {}, c.options);
    const Tensor u = normal(y.shape(), 5);
    backward(y, {.gradient = u});
    const auto& o = c.options;
    const auto extra = [](int64_t in, int64_t out, int64_t k, int64_t s, int64_t p, int64_t d) {
      return in - ((out - 1) * s - 2 * p + d * (k - 1) + 1);
    };
    const ConvTranspose2dOptions back{
        .stride = o.stride,
        .padding = o.padding,
        .output_padding = {extra(c.x.size(2), y.size(2), c.w.size(2), o.stride.h, o.padding.h, o.dilation.h),
                           extra(c.x.size(3), y.size(3), c.w.size(3), o.stride.w, o.padding.w, o.dilation.w)},
        .groups = o.groups,
        .dilation = o.dilation};
    RC_ASSERT(test::largest_difference(conv_transpose2d(u, c.w, {}, back), grad(c.x)) < 1e-12);
  }));
}

TEST(Conv1d, IsConv2dOfOneRow) {
  const Tensor x = normal({2, 4, 9}, 1), w = normal({6, 2, 3}, 2), b = normal({6}, 3);
  const Tensor y = conv1d(x, w, b, {.stride = 2, .padding = 1, .dilation = 2, .groups = 2});
  const Tensor flat = naive_conv2d(x.unsqueeze(2), w.unsqueeze(2), b,
                                   {.stride = {1, 2}, .padding = {0, 1}, .dilation = {1, 2}, .groups = 2});
  EXPECT_LT(test::largest_difference(y, flat.squeeze(2)), 1e-13);
  EXPECT_TRUE(
      test::same_bits(conv1d(x.select(0, 1), w, b, {.groups = 2}), conv1d(x, w, b, {.groups = 2}).select(0, 1)));
}

TEST(Conv2d, SamePaddingKeepsTheSizeWithTheLargerHalfBehind) {
  const Tensor x = Tensor::from<double>({1, 2, 3, 4}, {1, 1, 4}), w = Tensor::from<double>({1, 10}, {1, 1, 2});
  const Tensor y = conv1d(x, w, {}, {.same_padding = true});
  EXPECT_LT(test::largest_difference(y, Tensor::from<double>({21, 32, 43, 4}, {1, 1, 4})), 1e-15);
  EXPECT_EQ(
      conv2d(normal({1, 2, 5, 8}, 1), normal({3, 2, 4, 3}, 2), {}, {.dilation = {1, 3}, .same_padding = true}).shape(),
      (Shape{1, 3, 5, 8}));
}

// Large enough for several chunks of rows, for products on several threads, and for a weight summed in one part.
TEST(Conv2d, BitsDependNeitherOnThreadsNorOnTheOtherImages) {
  struct Sizes {
    Shape x, w;
    int64_t groups;
  };
  for (const auto& [x_shape, w_shape, groups] :
       {Sizes{{3, 16, 60, 50}, {8, 16, 3, 3}, 1}, Sizes{{5, 4, 9, 9}, {6, 2, 3, 3}, 2},
        Sizes{{2, 96, 6, 6}, {80, 96, 3, 3}, 1}, Sizes{{1, 8, 7, 7}, {8, 1, 3, 3}, 8},
        Sizes{{1, 3, 20, 17}, {3, 3, 3, 3}, 1}}) {
    Tensor x = normal(x_shape, 1, DType::f32), w = normal(w_shape, 2, DType::f32),
           b = normal({w_shape[0]}, 3, DType::f32);
    const Conv2dOptions options{.padding = 1, .groups = groups};
    for (Tensor* leaf : {&x, &w, &b}) set_requires_grad(*leaf);
    test::expect_same_bits_on_threads([&] {
      for (const Tensor* leaf : {&x, &w, &b}) zero_grad(*leaf);
      const Tensor y = conv2d(x, w, b, options);
      backward(y, {.gradient = normal(y.shape(), 4, DType::f32)});
      return std::vector<Tensor>{y, grad(x).clone(), grad(w).clone(), grad(b).clone()};
    });
    const Tensor last = x.alias().slice(0, x_shape[0] - 1, x_shape[0]);
    EXPECT_TRUE(
        test::same_bits(conv2d(last, w, b, options), conv2d(x, w, b, options).slice(0, x_shape[0] - 1, x_shape[0])));
  }
}

TEST(Conv2d, ManyChunksOfRowsGiveTheSameAsSevenLoops) {
  Tensor x = normal({2, 8, 90, 70}, 1), w = normal({2, 8, 3, 3}, 2);
  set_requires_grad(x);
  set_requires_grad(w);
  const Tensor y = conv2d(x, w, {}, {.padding = 1});
  EXPECT_LT(test::largest_difference(y, naive_conv2d(x, w, {}, {.padding = 1})), 1e-11);
  const Tensor u = normal(y.shape(), 3);
  backward(y, {.gradient = u});
  EXPECT_NEAR(inner(x.alias(), grad(x)), inner(y.alias(), u), 1e-8);
  EXPECT_NEAR(inner(w.alias(), grad(w)), inner(y.alias(), u), 1e-8);
}

TEST(Conv2d, TheGradientOfAWeightIsTheSumOverManyImages) {
  const Tensor x = normal({37, 2, 4, 4}, 1), u = normal({37, 3, 3, 3}, 2);
  Tensor w = normal({3, 2, 2, 2}, 3);
  set_requires_grad(w);
  backward(conv2d(x, w), {.gradient = u});
  Tensor want = Tensor::zeros(w.shape(), DType::f64);
  for (int64_t n = 0; n < 37; ++n) {
    Tensor one = w.alias();
    set_requires_grad(one);
    backward(conv2d(x.select(0, n), one), {.gradient = u.select(0, n)});
    want = add(want, grad(one));
  }
  EXPECT_LT(test::largest_difference(grad(w), want), 1e-12);
}

TEST(Conv2d, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros({1, 4, 5, 5}), w = Tensor::zeros({6, 2, 3, 3});
  EXPECT_THROW(conv2d(x, w), ShapeError);
  EXPECT_NO_THROW(conv2d(x, w, {}, {.groups = 2}));
  EXPECT_THROW(conv2d(x, w, Tensor::zeros({5}), {.groups = 2}), ShapeError);
  EXPECT_THROW(conv2d(x, w.select(0, 0), {}, {.groups = 2}), ShapeError);
  EXPECT_THROW(conv2d(Tensor::zeros({5, 5}), w, {}, {.groups = 2}), ShapeError);
  EXPECT_THROW(conv2d(x, w, {}, {.dilation = 3, .groups = 2}), ShapeError);
  EXPECT_THROW(conv2d(x, w, {}, {.groups = 0}), ValueError);
  EXPECT_THROW(conv2d(x, w, {}, {.stride = 0, .groups = 2}), ValueError);
  EXPECT_THROW(conv2d(x, w, {}, {.padding = -1, .groups = 2}), ValueError);
  EXPECT_THROW(conv2d(x, w, {}, {.padding = INT64_MAX, .groups = 2}), ValueError);
  EXPECT_THROW(conv2d(x, w, {}, {.stride = 2, .groups = 2, .same_padding = true}), ValueError);
  EXPECT_THROW(conv2d(x, Tensor::zeros({6, 2, 3, 3}, DType::f64), {}, {.groups = 2}), DTypeError);
  EXPECT_THROW(conv_transpose2d(x, Tensor::zeros({4, 1, 3, 3}), {}, {.output_padding = 1}), ValueError);
  EXPECT_THROW(conv_transpose2d(x, Tensor::zeros({3, 1, 3, 3})), ShapeError);
  EXPECT_THROW(conv_transpose2d(x, Tensor::zeros({4, 1, 3, 3}), {}, {.padding = 4}), ShapeError);
  try {
    conv1d(Tensor::zeros({1, 3, 8}), Tensor::zeros({2, 4, 3}));
    ADD_FAILURE();
  } catch (const ShapeError& error) {
    EXPECT_STREQ(error.what(),
                 "conv1d: x [1, 3, 8], weight [2, 4, 3], bias none and 1 groups do not fit; needs [batch, "
                 "channels, ...], [filters, channels/groups, ...], [filters]");
  }
}

}  // namespace
}  // namespace qing
