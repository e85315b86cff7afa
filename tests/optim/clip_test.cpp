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

Tensor with_gradient(std::initializer_list<double> values) {
  Tensor p = Tensor::zeros({static_cast<int64_t>(values.size())}, DType::f64);
  set_requires_grad(p);
  backward(sum(mul(p, Tensor::from<double>(values, p.shape()))));
  return p;
}

TEST(ClipGradNorm, ScalesToTheNormAndTellsTheOldOne) {
  const Tensor a = with_gradient({3}), b = with_gradient({4});
  EXPECT_DOUBLE_EQ(clip_grad_norm({a, b}, 10), 5);
  EXPECT_DOUBLE_EQ(grad(a).item(), 3);
  EXPECT_DOUBLE_EQ(clip_grad_norm({a, b}, 1), 5);
  EXPECT_NEAR(grad(a).item(), 0.6, 1e-15);
  EXPECT_NEAR(grad(b).item(), 0.8, 1e-15);
  EXPECT_THROW(clip_grad_norm({a}, 0), ValueError);
}

TEST(ClipGradNorm, LeavesWhatIsNotFiniteOrRefusesIt) {
  const Tensor a = with_gradient({kInfinity});
  EXPECT_TRUE(std::isinf(clip_grad_norm({a}, 1)));
  EXPECT_TRUE(std::isinf(grad(a).item()));
  EXPECT_THROW(clip_grad_norm({a}, 1, true), ValueError);
  EXPECT_EQ(clip_grad_norm({with_gradient({2})}, 1, true), 2);
}

// What the trainer does instead of a pass that scales the gradients.
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
