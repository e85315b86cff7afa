#include <gtest/gtest.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/optim/clip.h>
#include <qing/optim/optimizer.h>

#include <cmath>
#include <limits>
#include <utility>

namespace qing::optim {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor with_gradient(std::initializer_list<double> values, DType dtype = DType::f64) {
  Tensor p = Tensor::zeros({static_cast<int64_t>(values.size())}, dtype);
  set_requires_grad(p);
  backward(p, {.gradient = Tensor::from<double>(values, p.shape()).to(dtype)});
  return p;
}

TEST(ClipGradNorm, ScalesToTheNormAndReturnsTheOldNorm) {
  const Tensor a = with_gradient({3}), b = with_gradient({4});
  EXPECT_DOUBLE_EQ(clip_grad_norm({a, b}, 10), 5);
  EXPECT_DOUBLE_EQ(grad(a).item(), 3);
  EXPECT_DOUBLE_EQ(clip_grad_norm({a, b}, 1), 5);
  EXPECT_NEAR(grad(a).item(), 0.6, 1e-15);
  EXPECT_NEAR(grad(b).item(), 0.8, 1e-15);
  EXPECT_THROW(clip_grad_norm({a}, 0), ValueError);
}

// Like torch.nn.utils.clip_grad_norm_: the factor is 0 for an infinite norm and NaN for a norm of NaN.
TEST(ClipGradNorm, FollowsPyTorchForInfinityAndNanOrRefusesThem) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor a = with_gradient({kInfinity, 1}, dtype), b = with_gradient({2}, dtype);
    EXPECT_THROW(clip_grad_norm({a, b}, 1, true), ValueError);
    EXPECT_EQ(grad(b).item(), 2);
    EXPECT_TRUE(std::isinf(clip_grad_norm({a, b}, 1)));
    EXPECT_TRUE(std::isnan(grad(a).at({0})));
    EXPECT_EQ(grad(a).at({1}), 0);
    EXPECT_EQ(grad(b).item(), 0);
    const Tensor c = with_gradient({std::nan(""), 1}, dtype), d = with_gradient({2}, dtype);
    EXPECT_THROW(clip_grad_norm({c, d}, 1, true), ValueError);
    EXPECT_TRUE(std::isnan(clip_grad_norm({c, d}, 1)));
    EXPECT_TRUE(std::isnan(grad(c).at({1})));
    EXPECT_TRUE(std::isnan(grad(d).item()));
    EXPECT_EQ(clip_grad_norm({with_gradient({2}, dtype)}, 1, true), 2);
  }
}

// Unwritten rows of a table are zeros, and NaN spreads to them.
TEST(ClipGradNorm, SpreadsNanToRowsWithoutAGradient) {
  Tensor table = Tensor::zeros({3, 2});
  set_requires_grad(table);
  const Tensor up = Tensor::full({1, 2}, std::nan(""));
  backward(embedding(table, Tensor::from<int64_t>({1}, {1})), {.gradient = up});
  clip_grad_norm({table}, 1);
  EXPECT_TRUE(std::isnan(grad(table).at({0, 0})));
}

// The squares of these leave the range of the gradients' dtype, or of double.
TEST(ClipGradNorm, ClipsGradientsWhoseSquaresOverflowOrVanish) {
  struct Case {
    DType dtype;
    double unit;
  };
  for (const auto& [dtype, unit] : {Case{DType::f32, 1e19}, Case{DType::f32, 1e37}, Case{DType::f32, 1e-30},
                                    Case{DType::f64, 1e200}, Case{DType::f64, 1e307}, Case{DType::f64, 1e-200}}) {
    const double tolerance = dtype == DType::f32 ? 1e-6 : 1e-14;
    for (const bool apart : {false, true}) {
      const std::vector<Tensor> parameters =
          apart ? std::vector{with_gradient({3 * unit}, dtype), with_gradient({4 * unit}, dtype)}
                : std::vector{with_gradient({3 * unit, 4 * unit}, dtype)};
      const double most = std::min(1.0, unit);
      EXPECT_NEAR(total_grad_norm(parameters) / (5 * unit), 1, tolerance) << unit;
      EXPECT_NEAR(clip_grad_norm(parameters, most) / (5 * unit), 1, tolerance) << unit;
      EXPECT_NEAR(grad(parameters.front()).at({0}) / most, 0.6, tolerance) << unit;
      EXPECT_NEAR(grad(parameters.back()).at({apart ? 0 : 1}) / most, 0.8, tolerance) << unit;
      EXPECT_TRUE(grads_are_finite(parameters));
    }
  }
  // A single f32 factor cannot scale these down: it would be 0 or a denormal number with few bits.
  const Tensor top = with_gradient({3e38, 3e38, 3e38}, DType::f32);
  EXPECT_NEAR(clip_grad_norm({top}, 1e-3) / 5.196152422706632e38, 1, 1e-6);
  EXPECT_NEAR(grad(top).at({0}), 1e-3 / std::sqrt(3.0), 1e-9);
  // Small gradients next to large ones, and gradients of zeros.
  EXPECT_NEAR(total_grad_norm({with_gradient({3e19, 1e-30}, DType::f32), with_gradient({0, 4e19}, DType::f32)}) / 5e19,
              1, 1e-6);
  EXPECT_EQ(total_grad_norm({with_gradient({0, 0}, DType::f32)}), 0);
  EXPECT_EQ(clip_grad_norm({with_gradient({}, DType::f32)}, 1), 0);
}

// The trainer does this instead of a separate pass that scales the gradients.
TEST(TotalGradNorm, WithItsScaleAStepIsThatOfClippedGradients) {
  const auto stepped = [](bool fused) {
    const Tensor a = with_gradient({3, -1, 0.5}), b = with_gradient({4});
    Sgd optimizer({a, b}, {.lr = 0.1, .momentum = 0.9});
    EXPECT_DOUBLE_EQ(total_grad_norm({a, b}), std::sqrt(26.25));
    if (fused) {
      optimizer.step(0.5 / total_grad_norm({a, b}));
      EXPECT_EQ(grad(b).item(), 4);
    } else {
      clip_grad_norm({a, b}, 0.5);
      optimizer.step();
    }
    return std::pair(a.clone(), b.clone());
  };
  const auto [a, b] = stepped(true);
  const auto [c, d] = stepped(false);
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(a.span<double>()[i], c.span<double>()[i]);
  EXPECT_EQ(b.item(), d.item());
}

TEST(ScaleGrad, AppliesFactorsOfAnySize) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const double factor : {1e300, 1e-300, 1e-45, 1e60, 5e-324, -1e300, 1.7e308}) {
      const Tensor p = with_gradient({0, 1e-30, -2, 1e30}, dtype);
      scale_grad({p}, factor);
      for (int64_t i = 0; i < 4; ++i) {
        const double value = std::vector{0.0, 1e-30, -2.0, 1e30}[static_cast<size_t>(i)];
        double want = value * factor;
        if (dtype == DType::f32) want = static_cast<float>(want);
        const double least =
            dtype == DType::f32 ? std::numeric_limits<float>::min() : std::numeric_limits<double>::min();
        if (std::abs(want) < least) want = 0;  // denormal gradients count as 0
        const double got = grad(p).at({i});
        if (std::isinf(want) || want == 0) {
          EXPECT_EQ(got, want) << factor << " in " << name_of(dtype);
        } else {
          EXPECT_NEAR(got / want, 1, dtype == DType::f32 ? 1e-6 : 1e-15) << factor << " in " << name_of(dtype);
        }
      }
    }
  }
}

TEST(ClipGradNorm, BringsTheLargestNormsToTheSmallest) {
  const Tensor p = with_gradient({1e300});
  EXPECT_EQ(clip_grad_norm({p}, 1e-300), 1e300);
  EXPECT_NEAR(grad(p).item() / 1e-300, 1, 1e-12);
}

TEST(ClipGradValue, LimitsEveryElement) {
  const Tensor a = with_gradient({-3, 0.5, 2, kInfinity, std::nan("")});
  clip_grad_value({a, Tensor::zeros({1})}, 1.5);
  const auto g = grad(a).span<double>();
  EXPECT_EQ(std::vector<double>(g.begin(), g.end() - 1), (std::vector<double>{-1.5, 0.5, 1.5, 1.5}));
  EXPECT_TRUE(std::isnan(g[4]));
  EXPECT_THROW(clip_grad_value({a}, -1), ValueError);
  EXPECT_THROW(clip_grad_value({a}, kInfinity), ValueError);
}

TEST(GradsAreFinite, SeesOneBadElement) {
  EXPECT_TRUE(grads_are_finite({with_gradient({1, -2})}));
  EXPECT_FALSE(grads_are_finite({with_gradient({1}), with_gradient({1, kInfinity})}));
  EXPECT_FALSE(grads_are_finite({with_gradient({std::nan("")})}));
}

}  // namespace
}  // namespace qing::optim
