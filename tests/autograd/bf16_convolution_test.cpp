// Convolutions under AutocastGuard, against f64 with operands that are rounded to bf16.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include <qing/autograd/autocast.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops/convolution.h>
#include <qing/autograd/ops/elementwise.h>
#include <qing/tensor/errors.h>

#include "autograd/naive.h"

namespace qing::test {
namespace {

struct Case {
  Shape x, weight;
  Conv2dOptions options;
  bool bias = true;
};

// What a convolution gives: y, then the gradients of x and of the weight.
struct Results {
  std::vector<Tensor> all;
  static constexpr const char* kNames[] = {"y", "dx", "dweight"};
};

Results results(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& up,
                const Conv2dOptions& options, DType precision) {
  Tensor in = x.clone(), w = weight.clone();
  set_requires_grad(in);
  set_requires_grad(w);
  Tensor y;
  {
    const AutocastGuard guard(precision);
    y = conv2d(in, w, bias, options);
  }
  backward(y, {.gradient = up});  // outside of the guard
  return {{y.alias(), grad(in).alias(), grad(w).alias()}};
}

Tensor rounded(const Tensor& x) { return x.alias().to(DType::bf16).to(DType::f64); }

// The largest |got − want| as a share of the bound of sums in f32 of `depth` products of these magnitudes.
double share_of_bound(const Tensor& got, const Tensor& want, const Tensor& magnitude, int64_t depth) {
  const Tensor g = got.to(DType::f64);
  double worst = 0;
  for (int64_t i = 0; i < g.numel(); ++i) {
    // As for products of matrices in bf16_products_test.cpp; blocks of the depth and parts add sums of their own.
    const double gamma = 2 * static_cast<double>(depth + 24) * std::ldexp(1.0, -24);
    const double bound = gamma * (magnitude.data<double>()[i] + 1e-30);
    const double difference = std::abs(g.data<double>()[i] - want.data<double>()[i]);
    worst = std::max(worst, std::isfinite(difference) ? difference / bound : 1e9);
  }
  return worst;
}

// Compares with f64 of rounded operands. Groups are computed in f32, so their operands are not rounded.
void expect_exact_products(const Case& c) {
  const Tensor x = normal(c.x, 1, DType::f32), w = normal(c.weight, 2, DType::f32);
  const Tensor bias = c.bias ? normal({c.weight[0]}, 3, DType::f32) : Tensor();
  const Tensor up = normal(conv2d(x, w, bias, c.options).shape(), 4, DType::f32);
  const auto wide = [&](const Tensor& t) { return c.options.groups > 1 ? t.to(DType::f64) : rounded(t); };
  const Tensor offset = c.bias ? bias.to(DType::f64) : Tensor();
  const Results got = results(x, w, bias, up, c.options, DType::bf16);
  const Results want = results(wide(x), wide(w), offset, wide(up), c.options, DType::f32);
  const Results magnitude =
      results(abs(wide(x)), abs(wide(w)), c.bias ? abs(offset) : offset, abs(wide(up)), c.options, DType::f32);
  const int64_t taps = c.weight[2] * c.weight[3];
  const int64_t depths[] = {c.weight[1] * taps, c.weight[0] * taps, up.numel() / std::max<int64_t>(1, c.weight[0])};
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_LT(share_of_bound(got.all[i], want.all[i], magnitude.all[i], depths[i]), 1)
        << Results::kNames[i] << " of x " << to_string(c.x) << " and weight " << to_string(c.weight) << ", stride "
        << c.options.stride.h << "x" << c.options.stride.w << ", padding " << c.options.padding.h << "x"
        << c.options.padding.w << ", dilation " << c.options.dilation.h << "x" << c.options.dilation.w;
  }
}

TEST(Bf16Convolution, IsTheProductOfRoundedOperands) {
  const Case cases[] = {
      {{1, 1, 1, 1}, {1, 1, 1, 1}, {}},
      {{3, 1, 28, 28}, {16, 1, 3, 3}, {.padding = 1}, false},
      {{2, 16, 14, 14}, {33, 16, 3, 3}, {.stride = 2, .padding = 1}, false},
      {{9, 64, 7, 7}, {64, 64, 3, 3}, {.padding = 1}, false},
      {{70, 3, 4, 4}, {5, 3, 3, 3}, {.padding = 1}},
      {{2, 130, 5, 5}, {140, 130, 3, 3}, {.padding = 1}},
      {{2, 7, 9, 11}, {6, 7, 1, 1}, {.stride = 2}},
      {{2, 5, 9, 11}, {6, 5, 3, 2}, {.stride = {3, 1}, .padding = {0, 1}}},
      {{2, 5, 12, 9}, {8, 5, 2, 3}, {.padding = {3, 4}, .dilation = {2, 3}}},
      {{2, 3, 12, 13}, {8, 3, 3, 3}, {.stride = 4, .padding = 0}},
      {{2, 3, 12, 13}, {8, 3, 3, 3}, {.stride = 5, .padding = 5}},
      {{2, 3, 4, 5}, {8, 3, 2, 2}, {.stride = 9, .padding = 1}},
      {{1, 4, 70, 67}, {9, 4, 5, 7}, {.stride = 2, .padding = 3}},
      {{1, 2, 130, 141}, {3, 2, 3, 3}, {.padding = 1}},
      {{0, 3, 8, 8}, {4, 3, 3, 3}, {}},
      {{2, 4, 8, 8}, {6, 2, 3, 3}, {.padding = 1, .groups = 2}},
  };
  for (const Case& c : cases) expect_exact_products(c);
}

// A stride and a dilation: the gradient of x alone is computed in f32.
TEST(Bf16Convolution, OfDilatedStridesHasTheGradientOfTheInputInF32) {
  const Conv2dOptions options{.stride = 2, .padding = 1, .dilation = 2};
  const Tensor x = normal({2, 3, 11, 12}, 1, DType::f32), w = normal({4, 3, 3, 3}, 2, DType::f32);
  const Tensor up = normal(conv2d(x, w, {}, options).shape(), 4, DType::f32);
  const Results got = results(x, w, {}, up, options, DType::bf16), plain = results(x, w, {}, up, options, DType::f32),
                want = results(rounded(x), rounded(w), {}, rounded(up), options, DType::f32);
  EXPECT_TRUE(same_bits(got.all[1], plain.all[1]));
  for (const size_t i : {0U, 2U}) {
    EXPECT_LT(largest_difference(got.all[i].to(DType::f64), want.all[i]), 1e-4);
    EXPECT_GT(largest_difference(got.all[i].to(DType::f64), plain.all[i].to(DType::f64)), 1e-3);
  }
}

TEST(Bf16Convolution, OfAnySizesIsTheProductOfRoundedOperands) {
  rc::check([] {
    const auto from = [](int64_t low, int64_t high) { return *rc::gen::inRange<int64_t>(low, high + 1); };
    const Size2d kernel{from(1, 4), from(1, 4)}, padding{from(0, 3), from(0, 3)};
    const bool strided = *rc::gen::arbitrary<bool>();
    const Size2d stride = strided ? Size2d{from(1, 4), from(1, 4)} : Size2d{1, 1};
    const Size2d dilation = strided ? Size2d{1, 1} : Size2d{from(1, 3), from(1, 3)};
    const int64_t channels = *rc::gen::element<int64_t>(1, 2, 3, 16, 35);
    const Case c{{from(1, 5), channels, from(10, 19), from(10, 19)},
                 {from(1, 40), channels, kernel.h, kernel.w},
                 {.stride = stride, .padding = padding, .dilation = dilation},
                 *rc::gen::arbitrary<bool>()};
    expect_exact_products(c);
    RC_ASSERT(!::testing::Test::HasFailure());
  });
}

TEST(Bf16Convolution, AddsToGradientsThatAreThere) {
  const Tensor up = normal({3, 6, 5, 5}, 4, DType::f32);
  const Conv2dOptions options{.stride = 2, .padding = 1};
  Tensor x = normal({3, 4, 9, 9}, 1, DType::f32), w = normal({6, 4, 3, 3}, 2, DType::f32);
  const Results once = results(x, w, {}, up, options, DType::bf16);
  set_requires_grad(x);
  set_requires_grad(w);
  const AutocastGuard guard;
  for (int i = 0; i < 2; ++i) backward(conv2d(x, w, {}, options), {.gradient = up});
  EXPECT_TRUE(same_bits(grad(x), once.all[1] + once.all[1]));
  EXPECT_TRUE(same_bits(grad(w), once.all[2] + once.all[2]));
}

TEST(Bf16Convolution, HasTheSameBitsInEveryBatchAndForAnyThreads) {
  const Tensor x = normal({37, 24, 13, 11}, 1, DType::f32), w = normal({70, 24, 3, 3}, 2, DType::f32);
  for (const int64_t stride : {1, 2}) {
    const Conv2dOptions options{.stride = stride, .padding = 1};
    const Tensor up = normal(conv2d(x, w, {}, options).shape(), 4, DType::f32);
    expect_same_bits_on_threads([&] { return results(x, w, {}, up, options, DType::bf16).all; });
    const Results whole = results(x, w, {}, up, options, DType::bf16);
    const Results one =
        results(x.slice(0, 36, 37).contiguous(), w, {}, up.slice(0, 36, 37).contiguous(), options, DType::bf16);
    EXPECT_TRUE(same_bits(whole.all[0].slice(0, 36, 37), one.all[0]));
    EXPECT_TRUE(same_bits(whole.all[1].slice(0, 36, 37), one.all[1]));
  }
}

// Rows that no window meets are not rounded. What stands in their place is memory of earlier tensors, such as NaN.
TEST(Bf16Convolution, TakesNothingFromRowsThatNoWindowMeets) {
  Generator rng(5);
  for (const Case& one : {Case{{2, 3, 8, 8}, {4, 3, 3, 3}, {.stride = 2, .padding = 0}},
                          Case{{1, 4, 70, 67}, {6, 4, 5, 7}, {.stride = 2, .padding = 3}}}) {
    Tensor x = Tensor::empty(one.x), weight = Tensor::empty(one.weight);
    rng.fill_normal(x, 0, 1);
    rng.fill_normal(weight, 0, 1);
    Tensor y;
    {
      const AutocastGuard guard;
      y = conv2d(x, weight, {}, one.options);
    }
    const Tensor up = Tensor::full(y.shape(), 1);
    for (int round = 0; round < 3; ++round) {
      std::vector<Tensor> freed;
      for (int64_t size = 16; size < (1 << 17); size += size / 8) {
        freed.push_back(Tensor::full({size}, std::numeric_limits<double>::quiet_NaN()));
      }
      freed.clear();
      const Results found = results(x, weight, {}, up, one.options, DType::bf16);
      for (const Tensor& each : found.all) {
        for (const float value : std::span(each.data<float>(), static_cast<size_t>(each.numel()))) {
          ASSERT_TRUE(std::isfinite(value));
        }
      }
    }
  }
}

TEST(Bf16Convolution, LeavesOtherTypesAndCallsOutsideOfTheGuardAlone) {
  const Tensor x = normal({2, 4, 7, 7}, 1), w = normal({6, 4, 3, 3}, 2), up = normal({2, 6, 5, 5}, 4);
  const Results exact = results(x, w, {}, up, {}, DType::f32), guarded = results(x, w, {}, up, {}, DType::bf16);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(same_bits(exact.all[i], guarded.all[i]));
  const Tensor in = x.to(DType::f32), weight = w.to(DType::f32), dy = up.to(DType::f32);
  const Results plain = results(in, weight, {}, dy, {}, DType::f32), low = results(in, weight, {}, dy, {}, DType::bf16);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_LT(largest_difference(plain.all[i].to(DType::f64), exact.all[i]), 1e-4);
    EXPECT_GT(largest_difference(low.all[i].to(DType::f64), exact.all[i]), 1e-3) << "f32 would pass as well";
  }
}

// Transposed convolutions are the same three products. So are the gradients of gradients.
TEST(Bf16Convolution, OfOtherKindsHasRoundedOperandsToo) {
  const Tensor x = normal({2, 6, 5, 5}, 1, DType::f32), w = normal({6, 4, 3, 3}, 2, DType::f32);
  const ConvTranspose2dOptions options{.stride = 2, .padding = 1, .output_padding = 1};
  const auto near = [](const Tensor& got, const Tensor& want) {
    EXPECT_LT(largest_difference(got.to(DType::f64), want), 1e-4);
  };
  const AutocastGuard guard;
  near(conv_transpose2d(x, w, {}, options), conv_transpose2d(rounded(x), rounded(w), {}, options));
  const Tensor line = normal({2, 5, 30}, 1, DType::f32), taps = normal({7, 5, 4}, 2, DType::f32);
  near(conv1d(line, taps, {}, {.padding = 2}), conv1d(rounded(line), rounded(taps), {}, {.padding = 2}));

  Tensor in = normal({2, 3, 6, 6}, 1, DType::f32), weight = normal({4, 3, 3, 3}, 2, DType::f32);
  set_requires_grad(in);
  set_requires_grad(weight);
  const Tensor y = conv2d(in, weight), up = normal(y.shape(), 3, DType::f32), v = normal(in.shape(), 4, DType::f32);
  const std::vector<Tensor> first = gradients(y, {in}, {.create_graph = true, .gradient = up});
  const std::vector<Tensor> second = gradients(first[0], {weight}, {.gradient = v});
  Tensor exact = rounded(weight);
  set_requires_grad(exact);
  near(second[0], gradients(conv2d(rounded(v), exact), {exact}, {.gradient = rounded(up)})[0]);
}

}  // namespace
}  // namespace qing::test
