#include <gtest/gtest.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/optim/clip.h>

#include <cmath>
#include <limits>

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
