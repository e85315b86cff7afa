#include <gtest/gtest.h>
#include <qing/autograd/autograd.h>
#include <qing/optim/lr_scheduler.h>
#include <qing/optim/optimizer.h>

#include <algorithm>
#include <cmath>

namespace qing::optim {
namespace {

Tensor leaf() {
  Tensor p = Tensor::zeros({1});
  return set_requires_grad(p);
}

TEST(LinearWarmupDecay, RisesThenFallsToZero) {
  EXPECT_DOUBLE_EQ(linear_warmup_decay(0, 4, 10), 0.25);
  EXPECT_DOUBLE_EQ(linear_warmup_decay(3, 4, 10), 1);
  EXPECT_DOUBLE_EQ(linear_warmup_decay(4, 4, 10), 1);
  EXPECT_DOUBLE_EQ(linear_warmup_decay(7, 4, 10), 0.5);
  EXPECT_DOUBLE_EQ(linear_warmup_decay(10, 4, 10), 0);
  EXPECT_DOUBLE_EQ(linear_warmup_decay(0, 0, 10), 1);
}

TEST(Schedules, InverseSquareRootIsThatOfTheTransformerPaper) {
  // d^-0.5 · min(s^-0.5, s·warmup^-1.5) for step s from 1 has the peak d^-0.5 · warmup^-0.5.
  for (int64_t step = 0; step < 100; ++step) {
    const auto s = static_cast<double>(step + 1);
    EXPECT_NEAR(inverse_sqrt_decay(step, 9), std::min(std::pow(s, -0.5), s * std::pow(9, -1.5)) * 3, 1e-12) << step;
  }
  EXPECT_DOUBLE_EQ(inverse_sqrt_decay(0, 0), 1);
  EXPECT_DOUBLE_EQ(inverse_sqrt_decay(3, 0), 0.5);
}

// If the warm-up takes all steps or more, the final rate is 0.
TEST(Schedules, WithWarmupEndAtTheirLastStep) {
  for (const int64_t warmup : {0, 3, 9, 10, 12}) {
    const int64_t total = 10, end = std::max(warmup, total);
    EXPECT_EQ(linear_with_warmup(warmup, total)(2, end), 0) << warmup;
    EXPECT_EQ(linear_with_warmup(warmup, total)(2, end + 5), 0) << warmup;
    EXPECT_EQ(polynomial_with_warmup(warmup, total, 0.5, 2)(2, end), 0.5) << warmup;
    EXPECT_EQ(polynomial_with_warmup(warmup, total, 0.5, 2)(2, end + 5), 0.5) << warmup;
    if (warmup > 0) { EXPECT_EQ(linear_with_warmup(warmup, total)(2, 0), 0) << warmup; }
  }
  // The last step before the end has the exact share, without the rounding of 1 − progress.
  EXPECT_EQ(linear_with_warmup(0, 1000000)(1, 999999), 1e-6);
  EXPECT_EQ(linear_with_warmup(0, 0)(2, 0), 0);
}

TEST(Schedules, RefuseArgumentsOutOfRange) {
  EXPECT_THROW(constant_lr(-1), ValueError);
  EXPECT_THROW(linear_lr(0), ValueError);
  EXPECT_THROW(linear_lr(1, 1, 0), ValueError);
  EXPECT_THROW(step_lr(0), ValueError);
  EXPECT_THROW(multi_step_lr({5, 3}), ValueError);
  EXPECT_THROW(multi_step_lr({-1}), ValueError);
  EXPECT_THROW(exponential_lr(std::nan("")), ValueError);
  EXPECT_THROW(polynomial_lr(0), ValueError);
  EXPECT_THROW(cosine_annealing_lr(0), ValueError);
  EXPECT_THROW(cosine_annealing_warm_restarts(1, 0), ValueError);
  EXPECT_THROW(sequential_lr({exponential_lr(1)}, {1}), ValueError);
  EXPECT_THROW(sequential_lr({}, {}), ValueError);
  EXPECT_THROW(chained({}), ValueError);
  EXPECT_THROW(linear_with_warmup(-1, 10), ValueError);
  EXPECT_THROW(cosine_with_warmup(1, 10, -1), ValueError);
  EXPECT_THROW(one_cycle_lr({.max_lr = 0, .total_steps = 10}), ValueError);
  EXPECT_THROW(one_cycle_lr({.max_lr = 1, .total_steps = 0}), ValueError);
  EXPECT_THROW(one_cycle_lr({.max_lr = 1, .total_steps = 10, .pct_start = 1.5}), ValueError);
  EXPECT_THROW(one_cycle_momentum({.max_lr = 1, .total_steps = 10, .max_momentum = 1}), ValueError);
}

TEST(Schedules, OneCycleStaysAtItsEnd) {
  const Schedule cycle = one_cycle_lr({.max_lr = 1, .total_steps = 10});
  EXPECT_NEAR(cycle(0, 9), 1 / 25.0 / 1e4, 1e-18);
  EXPECT_EQ(cycle(0, 9), cycle(0, 1000));
  EXPECT_TRUE(std::isfinite(one_cycle_lr({.max_lr = 1, .total_steps = 1})(0, 0)));
}

TEST(LrScheduler, GivesEachGroupItsOwnRate) {
  using Group = ParameterGroup<SgdOptions>;
  Sgd sgd({Group{{leaf()}, {.lr = 1}}, Group{{leaf()}, {.lr = 2}}});
  LrScheduler scheduler(sgd, {step_lr(2, 0.5), exponential_lr(0.1)});
  for (int i = 0; i < 3; ++i) scheduler.step();
  EXPECT_DOUBLE_EQ(sgd.lr(0), 0.5);
  EXPECT_DOUBLE_EQ(scheduler.lr(1), 2e-3);
  EXPECT_THROW(LrScheduler(sgd, std::vector<Schedule>{exponential_lr(1)}), ValueError);
  EXPECT_THROW(LrScheduler(sgd, Schedule()), ValueError);
}

TEST(LrScheduler, OneCycleTurnsBeta1) {
  Adam adam({leaf()});
  const OneCycleOptions options{.max_lr = 1, .total_steps = 10};
  LrScheduler scheduler(adam, one_cycle_lr(options), one_cycle_momentum(options));
  EXPECT_DOUBLE_EQ(adam.options().beta1, 0.95);
  scheduler.step();
  scheduler.step();
  EXPECT_DOUBLE_EQ(adam.options().beta1, 0.85);
  EXPECT_DOUBLE_EQ(adam.lr(), 1);
  Adagrad adagrad({leaf()});
  EXPECT_THROW(LrScheduler(adagrad, one_cycle_lr(options), one_cycle_momentum(options)), ValueError);
}

TEST(LrScheduler, ResumesWithItsBaseRates) {
  Sgd sgd({leaf()}, {.lr = 0.3});
  LrScheduler scheduler(sgd, exponential_lr(0.5));
  for (int i = 0; i < 4; ++i) scheduler.step();
  Sgd other({leaf()}, {.lr = 7});
  LrScheduler resumed(other, exponential_lr(0.5));
  // For example a plateau changes the rate after the schedule. The next step has to start from this rate.
  sgd.set_lr(0.01);
  other.load_state_dict(sgd.state_dict());
  resumed.load_state_dict(scheduler.state_dict());
  EXPECT_EQ(other.lr(), 0.01);
  scheduler.step();
  resumed.step();
  EXPECT_EQ(other.lr(), sgd.lr());
  EXPECT_EQ(resumed.last_step(), 5);
  StateDict state = scheduler.state_dict();
  state["step"] = integer_state(-1);
  state["base_lr.1"] = number_state(1);
  EXPECT_THROW(resumed.load_state_dict(state), DataError);
  EXPECT_EQ(resumed.last_step(), 5);
}

TEST(ReduceLrOnPlateau, ResumesInTheMiddleOfItsPatience) {
  Sgd a({leaf()}, {.lr = 1}), b({leaf()}, {.lr = 1});
  ReduceLrOnPlateau first(a, {.factor = 0.5, .patience = 2, .cooldown = 1}),
      second(b, {.factor = 0.5, .patience = 2, .cooldown = 1});
  for (const double metric : {3.0, 3.0, 3.0}) first.step(metric);
  second.load_state_dict(first.state_dict());
  EXPECT_EQ(second.best(), 3);
  second.step(3);
  EXPECT_EQ(b.lr(), 0.5);
  EXPECT_EQ(a.lr(), 1);
  EXPECT_THROW(second.load_state_dict({}), DataError);
}

TEST(ReduceLrOnPlateau, RefusesOptionsOutOfRange) {
  Sgd sgd({leaf()});
  EXPECT_THROW(ReduceLrOnPlateau(sgd, {.factor = 1}), ValueError);
  EXPECT_THROW(ReduceLrOnPlateau(sgd, {.patience = -1}), ValueError);
  EXPECT_THROW(ReduceLrOnPlateau(sgd, {.threshold = -1}), ValueError);
  EXPECT_THROW(ReduceLrOnPlateau(sgd, {.min_lr = -1}), ValueError);
}

TEST(LrScheduler, AMomentumScheduleBeginsAtTheBaseAtEveryStep) {
  Sgd sgd({leaf()}, {.lr = 1, .momentum = 0.8});
  LrScheduler scheduler(sgd, exponential_lr(1), exponential_lr(0.5));
  for (const double momentum : {0.8, 0.4, 0.2}) {
    EXPECT_DOUBLE_EQ(sgd.momentum(), momentum);
    scheduler.step();
  }
  Sgd other({leaf()}, {.lr = 1, .momentum = 0.3});
  LrScheduler resumed(other, exponential_lr(1), exponential_lr(0.5));
  other.load_state_dict(sgd.state_dict());
  resumed.load_state_dict(scheduler.state_dict());
  resumed.step();
  EXPECT_DOUBLE_EQ(other.momentum(), 0.05);
  StateDict state = scheduler.state_dict();
  state.erase("base_momentum.0");  // as it was written before there was one
  EXPECT_NO_THROW(resumed.load_state_dict(state));
  state["base_momentum.0"] = number_state(1);
  EXPECT_THROW(resumed.load_state_dict(state), DataError);
}

}  // namespace
}  // namespace qing::optim
