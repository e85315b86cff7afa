#include <gtest/gtest.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/optim/grad_scaler.h>
#include <qing/optim/optimizer.h>

#include <limits>

namespace qing::optim {
namespace {

class GradScalerTest : public ::testing::Test {
 protected:
  GradScalerTest() : p_(Tensor::full({1}, 1)), sgd_({set_requires_grad(p_)}, {.lr = 0.5}) {}
  bool step(GradScaler& scaler, float slope) {
    sgd_.zero_grad();
    backward(scaler.scale(sum(mul(p_, Tensor::full({1}, slope)))));
    const bool stepped = scaler.step(sgd_);
    scaler.update();
    return stepped;
  }
  Tensor p_;
  Sgd sgd_;
};

TEST_F(GradScalerTest, StepsWithTheUnscaledGradient) {
  GradScaler scaler;
  EXPECT_TRUE(step(scaler, 0.5F));
  EXPECT_EQ(p_.item(), 0.75);
}

TEST_F(GradScalerTest, SkipsInfinitiesAndShrinksAndGrowsAfterGoodSteps) {
  GradScaler scaler({.init_scale = 8, .growth_factor = 4, .backoff_factor = 0.25, .growth_interval = 2});
  EXPECT_FALSE(step(scaler, std::numeric_limits<float>::infinity()));
  EXPECT_EQ(p_.item(), 1);
  EXPECT_EQ(scaler.scale(), 2);
  EXPECT_TRUE(step(scaler, 0));
  EXPECT_EQ(scaler.scale(), 2);
  EXPECT_FALSE(step(scaler, std::numeric_limits<float>::quiet_NaN()));  // starts the count again
  EXPECT_TRUE(step(scaler, 0));
  EXPECT_EQ(scaler.scale(), 0.5);
  EXPECT_TRUE(step(scaler, 0));
  EXPECT_EQ(scaler.scale(), 2);
}

TEST_F(GradScalerTest, UnscalesOnceForClipping) {
  GradScaler scaler({.init_scale = 16});
  sgd_.zero_grad();
  backward(scaler.scale(sum(p_)));
  EXPECT_EQ(grad(p_).item(), 16);
  scaler.unscale(sgd_);
  EXPECT_EQ(grad(p_).item(), 1);
  EXPECT_THROW(scaler.unscale(sgd_), ValueError);
  EXPECT_TRUE(scaler.step(sgd_));
  EXPECT_EQ(p_.item(), 0.5);
  scaler.update();
  EXPECT_THROW(scaler.update(), ValueError);
}

TEST_F(GradScalerTest, Resumes) {
  const GradScalerOptions options{.init_scale = 8, .growth_interval = 3};
  GradScaler first(options), second(options);
  step(first, std::numeric_limits<float>::infinity());
  step(first, 0);
  step(first, 0);
  second.load_state_dict(first.state_dict());
  EXPECT_EQ(second.scale(), 4);
  step(second, 0);
  EXPECT_EQ(second.scale(), 8);
  StateDict state = first.state_dict();
  state["scale"] = number_state(0);
  EXPECT_THROW(second.load_state_dict(state), DataError);
}

TEST_F(GradScalerTest, EachOptimizerIsUnscaledAndCheckedByItself) {
  GradScaler scaler({.init_scale = 16});
  Tensor q = Tensor::full({1}, 1);
  Sgd other({set_requires_grad(q)}, {.lr = 0.5});
  const auto gradients = [&](float own, float others) {
    sgd_.zero_grad();
    other.zero_grad();
    backward(scaler.scale(sum(mul(p_, Tensor::full({1}, own)) + mul(q, Tensor::full({1}, others)))));
  };
  gradients(1, 1);
  EXPECT_TRUE(scaler.step(sgd_));
  EXPECT_TRUE(scaler.step(other));
  scaler.update();
  EXPECT_EQ(p_.item(), 0.5);
  EXPECT_EQ(q.item(), 0.5);
  // If one optimizer skips its step, the other does not, in either order. The scale shrinks for both.
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  gradients(1, kInfinity);
  scaler.unscale(sgd_);
  EXPECT_FALSE(scaler.step(other));
  EXPECT_TRUE(scaler.step(sgd_));
  scaler.update();
  EXPECT_EQ(scaler.scale(), 8);
  EXPECT_EQ(p_.item(), 0);
  EXPECT_EQ(q.item(), 0.5);
  gradients(1, kInfinity);
  EXPECT_TRUE(scaler.step(sgd_));
  EXPECT_FALSE(scaler.step(other));
  scaler.update();
  EXPECT_EQ(scaler.scale(), 4);
}

TEST_F(GradScalerTest, RefusesASecondStepBeforeUpdate) {
  GradScaler scaler;
  sgd_.zero_grad();
  backward(scaler.scale(sum(p_)));
  EXPECT_TRUE(scaler.step(sgd_));
  EXPECT_THROW(scaler.step(sgd_), ValueError);
  EXPECT_THROW(scaler.unscale(sgd_), ValueError);
  EXPECT_EQ(p_.item(), 0.5);
  scaler.update();
  EXPECT_TRUE(step(scaler, 1));
  EXPECT_EQ(p_.item(), 0);
}

TEST_F(GradScalerTest, GrowsAfterLoadingAStateOfALongerInterval) {
  GradScaler longer({.init_scale = 8, .growth_interval = 100}), shorter({.growth_interval = 2});
  for (int i = 0; i < 5; ++i) step(longer, 0);
  shorter.load_state_dict(longer.state_dict());
  step(shorter, 0);
  EXPECT_EQ(shorter.scale(), 16);
}

TEST_F(GradScalerTest, RefusesOptionsOutOfRange) {
  EXPECT_THROW(GradScaler({.init_scale = 0}), ValueError);
  EXPECT_THROW(GradScaler({.growth_factor = 1}), ValueError);
  EXPECT_THROW(GradScaler({.backoff_factor = 1}), ValueError);
  EXPECT_THROW(GradScaler({.growth_interval = 0}), ValueError);
}

// With a scale of 0, or a scale with an infinite inverse in f32, the first good step would write NaN.
TEST_F(GradScalerTest, ComesBackAfterAnyNumberOfBadSteps) {
  GradScaler scaler({.init_scale = 65536, .growth_interval = 1});
  for (int i = 0; i < 1200; ++i) EXPECT_FALSE(step(scaler, std::numeric_limits<float>::infinity()));
  EXPECT_EQ(scaler.scale(), kLeastScale);
  EXPECT_EQ(p_.item(), 1);
  EXPECT_TRUE(step(scaler, 0.5F));
  EXPECT_EQ(p_.item(), 0.75);
}

// Small gradients never overflow. Without an upper bound the unscaled gradients would become 0, and training would
// stop.
TEST_F(GradScalerTest, StopsGrowingWhileItsInverseIsANormalNumber) {
  GradScaler scaler({.init_scale = 0x1p40, .growth_interval = 1});
  float expected = 1;
  for (int i = 0; i < 60; ++i) {
    EXPECT_TRUE(step(scaler, 0x1p-10F));
    expected -= 0x1p-11F;
    EXPECT_EQ(p_.item(), expected) << i;
  }
  EXPECT_EQ(scaler.scale(), kGreatestScale);
  EXPECT_THROW(GradScaler({.init_scale = 0x1p65}), ValueError);
  EXPECT_THROW(GradScaler({.init_scale = 0x1p-65}), ValueError);
}

}  // namespace
}  // namespace qing::optim
