#include <qing/optim/optimizer.h>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>

namespace qing::optim {
namespace {

Tensor parameter(std::initializer_list<double> values) {
  Tensor p = Tensor::from<double>(values, {static_cast<int64_t>(values.size())});
  return set_requires_grad(p);
}

// d/dp of Σ w·p is w.
void give_gradient(const Tensor& p, std::initializer_list<double> values) {
  backward(sum(mul(p, Tensor::from<double>(values, p.shape()))));
}

TEST(Sgd, MovesAgainstTheGradient) {
  const Tensor p = parameter({1, 2});
  Sgd sgd(std::vector<Tensor>{p}, {.lr = 0.1});
  give_gradient(p, {10, -10});
  sgd.step();
  EXPECT_DOUBLE_EQ(p.data<double>()[0], 0);
  EXPECT_DOUBLE_EQ(p.data<double>()[1], 3);
}

TEST(Sgd, MomentumAndNesterovFollowTheirFormulas) {
  for (const bool nesterov : {false, true}) {
    const Tensor p = parameter({1});
    Sgd sgd(std::vector<Tensor>{p}, {.lr = 0.1, .momentum = 0.5, .weight_decay = 0.2, .nesterov = nesterov});
    double theta = 1, v = 0;
    for (int step = 0; step < 3; ++step) {
      sgd.zero_grad();
      give_gradient(p, {2.0 + step});
      sgd.step();
      const double g = 2.0 + step + 0.2 * theta;
      v = step == 0 ? g : 0.5 * v + g;
      theta -= 0.1 * (nesterov ? g + 0.5 * v : v);
      EXPECT_NEAR(p.item(), theta, 1e-14);
    }
  }
}

TEST(Sgd, FindsTheMinimumOfAParabola) {
  Tensor x = Tensor::full({}, 5, DType::f64);
  set_requires_grad(x);
  Sgd sgd(std::vector<Tensor>{x}, {.lr = 0.1});
  for (int i = 0; i < 200; ++i) {
    sgd.zero_grad();
    const Tensor d = x - Tensor::full({}, 3, DType::f64);
    backward(d * d);
    sgd.step();
  }
  EXPECT_NEAR(x.item(), 3, 1e-12);
}

TEST(AdamW, GroupsHaveTheirOwnDecayAndRate) {
  const Tensor decayed = parameter({1}), plain = parameter({1}), slow = parameter({1});
  AdamW adamw({{{decayed}, 0.5, 1}, {{plain}, 0, 1}, {{slow}, 0, 0.1}}, {.lr = 0.01});
  for (const Tensor& p : {decayed, plain, slow}) give_gradient(p, {1});
  adamw.step();
  // The first step of Adam has length lr.
  EXPECT_NEAR(plain.item(), 1 - 0.01, 1e-9);
  EXPECT_NEAR(decayed.item(), 1 - 0.01 * 0.5 - 0.01, 1e-9);
  EXPECT_NEAR(slow.item(), 1 - 0.001, 1e-9);
}

TEST(Optimizers, LeaveParametersWithoutGradientAlone) {
  const Tensor p = parameter({1});
  AdamW adamw(std::vector<Tensor>{p}, {});
  adamw.step();
  EXPECT_EQ(p.item(), 1);
}

TEST(Optimizers, AStepMakesSavedTensorsStale) {
  const Tensor p = parameter({1});
  const Tensor y = p * p;
  Sgd sgd(std::vector<Tensor>{p}, {.lr = 0.1});
  give_gradient(p, {1});
  sgd.step();
  EXPECT_THROW(backward(y), AutogradError);
}

TEST(Optimizers, RefuseBadArguments) {
  const Tensor p = parameter({1});
  EXPECT_THROW(Sgd(std::vector<Tensor>{p}, {.lr = -1}), ValueError);
  EXPECT_THROW(Sgd(std::vector<Tensor>{p}, {.lr = std::nan("")}), ValueError);
  EXPECT_THROW(Sgd(std::vector<Tensor>{p}, {.lr = 1, .nesterov = true}), ValueError);
  EXPECT_THROW(AdamW(std::vector<Tensor>{p}, {.beta1 = 1}), ValueError);
  EXPECT_THROW(Sgd(std::vector<Tensor>{Tensor::zeros({1})}, {}), ValueError);
  EXPECT_THROW(clip_grad_norm({p}, 0), ValueError);
}

TEST(ClipGradNorm, ScalesToTheNormAndTellsTheOldOne) {
  const Tensor a = parameter({0}), b = parameter({0});
  give_gradient(a, {3});
  give_gradient(b, {4});
  EXPECT_DOUBLE_EQ(clip_grad_norm({a, b}, 10), 5);
  EXPECT_DOUBLE_EQ(grad(a).item(), 3);
  EXPECT_DOUBLE_EQ(clip_grad_norm({a, b}, 1), 5);
  EXPECT_NEAR(grad(a).item(), 0.6, 1e-15);
  EXPECT_NEAR(grad(b).item(), 0.8, 1e-15);
}

TEST(ClipGradNorm, LeavesWhatIsNotFinite) {
  const Tensor a = parameter({0});
  give_gradient(a, {std::numeric_limits<double>::infinity()});
  EXPECT_TRUE(std::isinf(clip_grad_norm({a}, 1)));
  EXPECT_TRUE(std::isinf(grad(a).item()));
}

TEST(Schedule, RisesThenFallsToZero) {
  EXPECT_DOUBLE_EQ(linear_warmup_decay(0, 4, 10), 0.25);
  EXPECT_DOUBLE_EQ(linear_warmup_decay(3, 4, 10), 1);
  EXPECT_DOUBLE_EQ(linear_warmup_decay(4, 4, 10), 1);
  EXPECT_DOUBLE_EQ(linear_warmup_decay(7, 4, 10), 0.5);
  EXPECT_DOUBLE_EQ(linear_warmup_decay(10, 4, 10), 0);
  EXPECT_DOUBLE_EQ(linear_warmup_decay(0, 0, 10), 1);
}

}  // namespace
}  // namespace qing::optim
