#include <gtest/gtest.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/layers.h>
#include <qing/optim/clip.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/training/trainer.h>
#include <qing/tensor/errors.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "nn/temp_folder.h"

namespace qing::optim {
namespace {

namespace fs = std::filesystem;

// y = 2·x₀ − x₁ from rows of two numbers. A batch is one row.
struct Regression {
  explicit Regression(int64_t rows = 6) {
    Generator data(5);
    for (int64_t i = 0; i < rows; ++i) {
      batches.push_back(Tensor::empty({1, 2}));
      data.fill_normal(batches.back(), 0, 1);
    }
    model.set_requires_grad(true);
    optimizer = std::make_unique<Sgd>(model.parameters(), SgdOptions{.lr = 0.05, .momentum = 0.5});
  }
  Tensor loss(const Tensor& x) {
    const auto row = x.span<float>();
    const Tensor error = model(x) - Tensor::full({1, 1}, 2 * row[0] - row[1]);
    return mean(error * error);
  }
  LossSource source() {
    return losses_of(batches, [this](const Tensor& x) { return loss(x); });
  }
  TrainerResult train(TrainerOptions options) { return Trainer(model, *optimizer, source(), std::move(options)).run(); }
  double total() {
    double sum = 0;
    for (const Tensor& x : batches) sum += loss(x).item();
    return sum;
  }
  std::vector<float> weights() {
    std::vector<float> all;
    for (const Tensor& p : model.parameters()) all.insert(all.end(), p.span<float>().begin(), p.span<float>().end());
    return all;
  }

  Generator rng{1};
  nn::Linear model{2, 1, rng};
  std::vector<Tensor> batches;
  std::unique_ptr<Sgd> optimizer;
};

TEST(Trainer, LearnsAndCounts) {
  Regression r;
  std::vector<int64_t> steps, epochs;
  TrainerOptions options{.max_epochs = 40};
  options.on_step = [&](const TrainerProgress& p) { return steps.push_back(p.step), true; };
  options.on_epoch = [&](const TrainerProgress& p) { return epochs.push_back(p.epoch), true; };
  const TrainerResult result = r.train(options);
  EXPECT_EQ(result.steps, 240);
  EXPECT_EQ(result.epochs, 40);
  EXPECT_FALSE(result.interrupted);
  EXPECT_LT(result.loss, 1e-3);
  EXPECT_EQ(steps.size(), 240u);
  EXPECT_EQ(steps.back(), 240);
  EXPECT_EQ(epochs.back(), 40);
  EXPECT_LT(r.total(), 1e-3);
}

TEST(Trainer, AccumulationEqualsTheMeanOfTheBatches) {
  Regression r(5), by_hand(5);
  r.train({.accumulate = 3});  // a step of three batches and one of two
  for (const auto& [begin, end] : {std::pair{0, 3}, std::pair{3, 5}}) {
    by_hand.optimizer->zero_grad();
    Tensor sum = by_hand.loss(by_hand.batches[static_cast<size_t>(begin)]);
    for (int i = begin + 1; i < end; ++i) sum = sum + by_hand.loss(by_hand.batches[static_cast<size_t>(i)]);
    backward(sum * Tensor::full({}, 1.0 / (end - begin)));
    by_hand.optimizer->step();
  }
  for (size_t i = 0; i < r.weights().size(); ++i) EXPECT_NEAR(r.weights()[i], by_hand.weights()[i], 1e-6);
}

// The norm is that of the unscaled gradients, so a power of two as a scale changes nothing.
TEST(Trainer, ClipsAfterTheLossScaleIsTakenOut) {
  Regression plain, scaled, free;
  GradScaler scaler({.init_scale = 1024});
  plain.train({.clip_norm = 0.5});
  scaled.train({.clip_norm = 0.5, .scaler = &scaler});
  free.train({});
  for (size_t i = 0; i < plain.weights().size(); ++i) EXPECT_NEAR(scaled.weights()[i], plain.weights()[i], 1e-6);
  EXPECT_GT(std::abs(free.weights()[0] - plain.weights()[0]), 1e-3) << "no step was clipped";
}

// Three rows. A batch reads the second.
struct Table : nn::Module {
  void visit(Visitor& visitor) override { visitor.parameter("table", table); }
  Tensor table = Tensor::full({3, 2}, 1);
};

// The table after a step whose gradient, {slope, slope / 2} for the row that was read, is clipped by the trainer or
// else by clip_grad_norm. The loss is finite for any gradient.
std::vector<double> clipped_step(double slope, double clip_norm, DType dtype, bool trained) {
  Table model;
  model.table = model.table.to(dtype);
  model.set_requires_grad(true);
  const auto loss = [&](const Tensor&) {
    const Tensor row = embedding(model.table, Tensor::from<int64_t>({1}, {1}));
    register_hook(row, [=](const Tensor&) { return Tensor::of({{slope, slope / 2}}, DType::f64).to(dtype); });
    return sum(row);
  };
  Sgd optimizer(model.parameters(), {.lr = 1e30});
  if (trained) {
    Trainer(model, optimizer, losses_of(std::vector{Tensor::zeros({1})}, loss),
            {.max_steps = 1, .clip_norm = clip_norm})
        .run();
  } else {
    backward(loss({}));
    clip_grad_norm(model.parameters(), clip_norm);
    optimizer.step();
  }
  const Tensor wide = detach(model.table).to(DType::f64);
  return {wide.data<double>(), wide.data<double>() + wide.numel()};
}

TEST(Trainer, ClipsToTheBitsOfClipGradNorm) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const auto& [slope, norm] : std::vector<std::pair<double, double>>{
             {nan, 1}, {infinity, 1}, {3, 1}, {3, 10}, {2e38, 1e-3}, {2e38, 1e-30}, {1e300, 1e-300}, {1e300, 1e-10}}) {
      if (dtype == DType::f32 && slope == 1e300) continue;
      const auto trained = clipped_step(slope, norm, dtype, true), clipped = clipped_step(slope, norm, dtype, false);
      for (size_t i = 0; i < trained.size(); ++i) {
        EXPECT_EQ(std::bit_cast<uint64_t>(trained[i]) << 1, std::bit_cast<uint64_t>(clipped[i]) << 1)
            << trained[i] << " and " << clipped[i] << " at " << i << " for " << slope << " clipped to " << norm;
      }
      EXPECT_EQ(std::isnan(trained[0]), std::isnan(slope)) << "NaN spreads to every row";
    }
  }
}

TEST(Trainer, EveryCallbackCanStop) {
  for (int which = 0; which < 4; ++which) {
    Regression r;
    const test::TempFolder folder;
    TrainerOptions options{.max_epochs = 5, .evaluate = [&] { return r.total(); }, .evaluate_every = 2};
    options.checkpoints = folder.path();
    options.checkpoint_every = 3;
    const auto stop = [](const TrainerProgress&) { return false; };
    if (which == 0) options.on_step = stop;
    if (which == 1) options.on_evaluate = stop;
    if (which == 2) options.on_checkpoint = [](const TrainerProgress&, const fs::path&) { return false; };
    if (which == 3) options.on_epoch = stop;
    const TrainerResult result = r.train(options);
    EXPECT_TRUE(result.interrupted);
    EXPECT_EQ(result.steps, (std::vector<int64_t>{1, 2, 3, 6})[static_cast<size_t>(which)]);
    // Training can resume from every step.
    EXPECT_EQ(checkpoint_steps(folder.path()).back(), result.steps);
  }
}

TEST(Trainer, StopsEarlyWhenNothingImproves) {
  Regression r;
  const double metrics[] = {3, 2, 2.5, 2, 1};
  size_t at = 0;
  bool training = true;
  TrainerOptions options{.max_epochs = 10,
                         .evaluate =
                             [&] {
                               training = r.model.training();
                               return metrics[at++];
                             },
                         .patience = 2};
  TrainerResult result = r.train(options);
  EXPECT_TRUE(result.early_stopped);
  EXPECT_FALSE(result.interrupted);
  EXPECT_EQ(result.epochs, 4);
  EXPECT_FALSE(training);
  EXPECT_TRUE(r.model.training());
  at = 0;
  options.greater_is_better = true;
  result = r.train(options);
  EXPECT_EQ(result.epochs, 3);
}

TEST(Trainer, GoesOnAfterPatienceIfItIsReset) {
  const test::TempFolder folder;
  TrainerOptions options{.max_epochs = 9, .evaluate = [] { return 1.0; }, .patience = 2};
  options.checkpoints = folder.path();
  Regression first, same, further;
  EXPECT_EQ(first.train(options).epochs, 3);
  EXPECT_EQ(same.train(options).epochs, 3) << "patience has ended it";
  options.extended = true;
  const TrainerResult result = further.train(options);
  EXPECT_EQ(result.epochs, 5);
  EXPECT_TRUE(result.early_stopped);
}

TEST(Trainer, ClipsSchedulesAndAverages) {
  Regression r;
  LrScheduler schedule(*r.optimizer, exponential_lr(0.9));
  ReduceLrOnPlateau plateau(*r.optimizer);
  AveragedModel average(r.model.parameters(), ema(0.9));
  double norm = 0, averaged = 0;
  TrainerOptions options{.max_epochs = 0, .max_steps = 4, .clip_norm = 1e-3};
  options.schedule = &schedule;
  options.plateau = &plateau;
  options.average = &average;
  options.evaluate = [&] { return averaged = r.weights()[0]; };
  options.evaluate_every = 4;
  options.on_step = [&](const TrainerProgress& p) { return norm = p.grad_norm, true; };
  const auto before = r.weights();
  r.train(options);
  EXPECT_GT(norm, 1e-3);
  EXPECT_LT(std::abs(r.weights()[0] - before[0]), 4 * 0.05 * 2e-3);
  EXPECT_NEAR(r.optimizer->lr(), 0.05 * std::pow(0.9, 4), 1e-15);
  EXPECT_EQ(average.updates(), 4);
  EXPECT_EQ(averaged, average.averages()[0].span<float>()[0]);
  EXPECT_NE(r.weights()[0], averaged);
  EXPECT_EQ(plateau.best(), averaged);
}

TEST(Trainer, ALossThatIsNotFiniteIsAnErrorUnlessAScalerSkipsIt) {
  Regression r;
  const auto source = [&] {
    return losses_of(r.batches, [&r, calls = 0](const Tensor& x) mutable {
      return ++calls == 3 ? r.loss(x) * Tensor::full({}, std::nan("")) : r.loss(x);
    });
  };
  EXPECT_NE(test::message_of<ValueError>([&] {
              Trainer(r.model, *r.optimizer, source(), {}).run();
            }).find("step 3 is nan; use a smaller learning rate than"),
            std::string::npos);
  // A learning rate has done nothing yet.
  const auto bad_data =
      losses_of(r.batches, [&r](const Tensor& x) { return r.loss(x) * Tensor::full({}, std::nan("")); });
  const std::string first = test::message_of<ValueError>([&] { Trainer(r.model, *r.optimizer, bad_data, {}).run(); });
  EXPECT_NE(first.find("step 1 is nan; look for numbers in the data"), std::string::npos) << first;
  EXPECT_EQ(first.find("learning rate"), std::string::npos) << first;
  GradScaler scaler;
  AveragedModel average(r.model.parameters());
  TrainerOptions options;
  options.scaler = &scaler;
  options.average = &average;
  const TrainerResult result = Trainer(r.model, *r.optimizer, source(), options).run();
  EXPECT_EQ(result.steps, 6);
  EXPECT_TRUE(std::isfinite(result.loss));
  EXPECT_EQ(average.updates(), 5);
  EXPECT_EQ(scaler.scale(), 32768);
  for (const float w : r.weights()) EXPECT_TRUE(std::isfinite(w));
}

TEST(Trainer, ResumesToTheBitFromWhereverItStopped) {
  // Both schedules change the rate. The plateau acts at the end of every epoch, after the other.
  const auto train = [](Regression& r, TrainerOptions options) {
    LrScheduler schedule(*r.optimizer, exponential_lr(0.9));
    ReduceLrOnPlateau plateau(*r.optimizer, {.factor = 0.5, .patience = 0});
    options.max_epochs = 3;
    options.accumulate = 2;
    options.schedule = &schedule;
    options.plateau = &plateau;
    options.evaluate = [] { return 1.0; };
    return r.train(options);
  };
  Regression whole;
  train(whole, {});
  for (int64_t cut = 1; cut < 9; ++cut) {
    const test::TempFolder folder;
    TrainerOptions options;
    options.checkpoints = folder.path();
    options.on_step = [&](const TrainerProgress& p) { return p.step != cut; };
    Regression first, second, third;
    EXPECT_EQ(train(first, options).steps, cut);
    options.on_step = {};
    const TrainerResult result = train(second, options);
    EXPECT_EQ(result.resumed_from, cut);
    EXPECT_EQ(result.steps, 9);
    EXPECT_EQ(second.weights(), whole.weights()) << cut;
    options.resume = false;
    EXPECT_THROW(train(third, options), ValueError) << "the folder holds another run's checkpoints";
    options.checkpoints = folder.path() / "fresh";
    EXPECT_EQ(train(third, options).resumed_from, 0);
  }
}

TEST(Trainer, TheLossIsTheLastStepsWhenAllWereSkipped) {
  Regression r;
  GradScaler scaler({.init_scale = kGreatestScale});
  const auto huge = [&](const Tensor& x) { return r.loss(x) * Tensor::full({}, 1e30); };
  const TrainerResult result = Trainer(r.model, *r.optimizer, losses_of(r.batches, huge), {.scaler = &scaler}).run();
  EXPECT_EQ(result.steps, 6);
  EXPECT_TRUE(std::isfinite(result.loss));
  EXPECT_NEAR(result.loss / 1e30, r.loss(r.batches.back()).item(), 1e-6);
}

TEST(Trainer, RefusesReservedNamesAndNullParts) {
  Regression r;
  GradScaler scaler;
  for (const char* name :
       {"trainer", "optimizer", "data", "rng", "schedule", "plateau", "average", "scaler", "model", "a b", ""}) {
    TrainerOptions options;
    options.parts = {{name, &scaler}};
    EXPECT_THROW(Trainer(r.model, *r.optimizer, r.source(), options), ValueError) << name;
  }
  TrainerOptions options;
  options.parts = {{"mine", nullptr}};
  EXPECT_NE(test::message_of<ValueError>([&] { Trainer(r.model, *r.optimizer, r.source(), options); }).find("'mine'"),
            std::string::npos);
  options.parts = {{"mine", &scaler}};
  EXPECT_NO_THROW(Trainer(r.model, *r.optimizer, r.source(), options));
}

TEST(Trainer, RefusesBadOptions) {
  Regression r;
  EXPECT_THROW(r.train({.max_epochs = 0}), ValueError);
  EXPECT_THROW(r.train({.max_epochs = -1}), ValueError);
  EXPECT_THROW(r.train({.accumulate = 0}), ValueError);
  EXPECT_THROW(r.train({.clip_norm = -1}), ValueError);
  EXPECT_THROW(r.train({.patience = 1}), ValueError);
  LossSource source = r.source();
  source.save = {};
  EXPECT_THROW(Trainer(r.model, *r.optimizer, source, {}), ValueError);
  source.load = {};
  TrainerOptions options;
  options.checkpoints = "somewhere";
  EXPECT_THROW(Trainer(r.model, *r.optimizer, source, options), ValueError);
  source.next = {};
  EXPECT_THROW(Trainer(r.model, *r.optimizer, source, {}), ValueError);
  r.batches.clear();
  EXPECT_THROW(r.train({}), ValueError);
}

// A metric that is best at the second of four evaluations, with the weights at each of them.
struct Judged {
  explicit Judged(Regression& regression) : r(regression) {}
  TrainerOptions options() {
    TrainerOptions o{.max_epochs = 4, .keep_best = true};
    o.evaluate = [this] {
      seen.push_back(r.weights());
      return std::vector{3.0, 1.0, 2.0, 1.0}.at(seen.size() - 1);
    };
    return o;
  }
  Regression& r;
  std::vector<std::vector<float>> seen;
};

TEST(Trainer, KeepsTheWeightsOfTheBestEvaluation) {
  Regression r;
  Judged judged(r);
  const TrainerResult result = r.train(judged.options());
  EXPECT_EQ(result.steps, 24);
  EXPECT_EQ(result.best_step, 12) << "the first of two equal evaluations";
  ASSERT_EQ(judged.seen.size(), 4U);
  EXPECT_EQ(r.weights(), judged.seen[1]);
  EXPECT_NE(r.weights(), judged.seen[3]);
  Regression last;
  Judged free(last);
  TrainerOptions options = free.options();
  options.keep_best = false;
  EXPECT_EQ(last.train(options).best_step, 0);
  EXPECT_EQ(last.weights(), free.seen[3]);
}

TEST(Trainer, KeepsTheBestAverages) {
  Regression r;
  AveragedModel average(r.model.parameters(), ema(0.5));
  Judged judged(r);
  TrainerOptions options = judged.options();
  options.average = &average;
  r.train(options);
  EXPECT_EQ(r.weights(), judged.seen[1]) << "evaluations see the averages";
}

TEST(Trainer, TheBestWeightsOutliveTheProcess) {
  const qing::test::TempFolder folder;
  Regression whole;
  Judged judged(whole);
  whole.train(judged.options());
  Regression killed;
  Judged first(killed);
  TrainerOptions options = first.options();
  options.checkpoints = folder.path();
  options.on_epoch = [](const TrainerProgress& p) { return p.epoch < 3; };
  killed.train(options);
  Regression resumed;
  Judged second(resumed);
  second.seen = first.seen;
  options = second.options();
  options.checkpoints = folder.path();
  const TrainerResult result = resumed.train(options);
  EXPECT_EQ(result.resumed_from, 18);
  EXPECT_EQ(result.best_step, 12);
  EXPECT_EQ(resumed.weights(), whole.weights());
}

TEST(Trainer, KeepBestNeedsAnEvaluation) {
  Regression r;
  EXPECT_THROW(r.train({.keep_best = true}), ValueError);
}

}  // namespace
}  // namespace qing::optim
