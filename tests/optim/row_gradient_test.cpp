// Gradients of tables: only the rows that were looked up are visited, and all results stay the same.
#include <gtest/gtest.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/optim/clip.h>
#include <qing/optim/optimizer.h>
#include <qing/tensor/creation.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/random.h>

#include <limits>
#include <memory>
#include <numeric>
#include <vector>

namespace qing::optim {
namespace {

constexpr int64_t kEntries = 50, kWidth = 8;

Tensor table(DType dtype = DType::f32) {
  Generator rng(3);
  Tensor weight = randn({kEntries, kWidth}, rng, dtype);
  return set_requires_grad(weight);
}

Tensor ids(std::vector<int64_t> values) { return Tensor::from<int64_t>(values, {static_cast<int64_t>(values.size())}); }

// A loss whose gradient differs by row and column.
void look_up(const Tensor& weight, std::vector<int64_t> which) {
  const Tensor rows = embedding(weight, ids(std::move(which)));
  Generator rng(static_cast<uint64_t>(rows.size(0)));
  backward(sum(mul(rows, randn(rows.shape(), rng, rows.dtype()))));
}

std::vector<float> values(const Tensor& x) {
  const auto span = x.span<float>();
  return {span.begin(), span.end()};
}

TEST(RowGradient, TellsWhichRowsWereLookedUpUntilSomebodyHoldsTheGradient) {
  const Tensor weight = table();
  EXPECT_FALSE(row_grad(weight).gradient.defined());
  look_up(weight, {7, 3, 7});
  ASSERT_NE(row_grad(weight).rows, nullptr);
  EXPECT_EQ(*row_grad(weight).rows, (std::vector<int64_t>{3, 7}));
  look_up(weight, {5, 3});
  EXPECT_EQ(*row_grad(weight).rows, (std::vector<int64_t>{3, 5, 7}));
  EXPECT_TRUE(grad(weight).defined());
  EXPECT_EQ(row_grad(weight).rows, nullptr);
}

TEST(RowGradient, RowsOfEarlierStepsAreCleared) {
  const Tensor weight = table(), fresh = table();
  look_up(weight, {1, 2, 40});
  zero_grad(weight);
  EXPECT_FALSE(row_grad(weight).gradient.defined());
  look_up(weight, {2, 9});
  look_up(fresh, {2, 9});
  EXPECT_EQ(*row_grad(weight).rows, (std::vector<int64_t>{2, 9}));
  EXPECT_EQ(values(grad(weight)), values(grad(fresh)));
}

TEST(RowGradient, AnotherUseOfTheTableMakesItDenseInEitherOrder) {
  const Tensor first = table(), second = table();
  look_up(first, {1, 1});
  backward(sum(mul(first, first)));
  backward(sum(mul(second, second)));
  look_up(second, {1, 1});
  EXPECT_EQ(row_grad(first).rows, nullptr);
  EXPECT_EQ(row_grad(second).rows, nullptr);
  for (int64_t i = 0; i < kEntries * kWidth; ++i) {
    EXPECT_NEAR(values(grad(first))[i], values(grad(second))[i], 1e-5) << i;
  }
  // The table is also the output projection, in one graph.
  const Tensor tied = table();
  backward(sum(matmul(embedding(tied, ids({4, 6})), tied.transpose(0, 1))));
  EXPECT_EQ(row_grad(tied).rows, nullptr);
}

TEST(RowGradient, AHookSeesAndReplacesTheWholeGradient) {
  const Tensor weight = table();
  register_hook(weight, [](const Tensor& g) {
    EXPECT_EQ(g.shape(), (Shape{kEntries, kWidth}));
    return mul(g, Tensor::full({}, 2, g.dtype()));
  });
  look_up(weight, {1, 2});
  const Tensor plain = table();
  look_up(plain, {1, 2});
  for (int64_t i = 0; i < kEntries * kWidth; ++i) EXPECT_EQ(values(grad(weight))[i], 2 * values(grad(plain))[i]);
}

// Trains with lookups for some steps and returns the final table. Dense: the tracked rows are dropped before each step.
template <class Make> std::vector<float> train(bool dense, const Make& make, DType state = DType::f32) {
  const Tensor weight = table();
  const std::unique_ptr<Optimizer> optimizer = make(weight);
  optimizer->set_state_dtype(state);
  for (int64_t step = 0; step < 7; ++step) {
    optimizer->zero_grad();
    look_up(weight, {step, 30 - step, 2 * step, step});
    if (dense) grad(weight);
    clip_grad_norm({weight}, 1e9);
    optimizer->step();
  }
  return values(weight);
}

template <class O, class Options> auto maker(Options options) {
  return [options](const Tensor& weight) { return std::make_unique<O>(std::vector<Tensor>{weight}, options); };
}

TEST(RowGradient, WhereZerosChangeNothingTheBitsAreThoseOfADenseStep) {
  const auto sgd = maker<Sgd>(SgdOptions{.lr = 0.1});
  const auto adagrad = maker<Adagrad>(AdagradOptions{.lr = 0.1, .initial_accumulator_value = 0.5});
  // These options change all rows, because momentum, decay and moments act without a gradient.
  const auto momentum = maker<Sgd>(SgdOptions{.lr = 0.1, .momentum = 0.9});
  const auto decay = maker<Adagrad>(AdagradOptions{.lr = 0.1, .weight_decay = 0.1});
  const auto adamw = maker<AdamW>(AdamWOptions{.lr = 0.1});
  EXPECT_EQ(train(false, sgd), train(true, sgd));
  EXPECT_EQ(train(false, adagrad), train(true, adagrad));
  EXPECT_EQ(train(false, momentum), train(true, momentum));
  EXPECT_EQ(train(false, decay), train(true, decay));
  EXPECT_EQ(train(false, adamw), train(true, adamw));
}

TEST(RowGradient, LazyAdamLeavesOtherRowsAlone) {
  const auto lazy = maker<AdamW>(AdamWOptions{.lr = 0.1, .lazy = true});
  for (const DType state : {DType::f32, DType::bf16}) {
    const std::vector<float> before = values(table()), after = train(false, lazy, state);
    std::vector<int64_t> moved;
    for (int64_t row = 0; row < kEntries; ++row) {
      if (!std::equal(&before[row * kWidth], &before[row * kWidth] + kWidth, &after[row * kWidth]))
        moved.push_back(row);
    }
    EXPECT_EQ(moved, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 24, 25, 26, 27, 28, 29, 30}));
  }
  EXPECT_NE(train(false, lazy), train(true, lazy));
}

TEST(RowGradient, LazyAdamMovesNothingInAStepThatNamesNoRow) {
  const Tensor weight = table();
  AdamW adamw({weight}, {.lr = 0.1, .lazy = true});
  look_up(weight, {1, 2});
  adamw.step();
  const std::vector<float> after = values(weight);
  adamw.zero_grad();
  look_up(weight, {});
  adamw.step();
  EXPECT_EQ(values(weight), after);
}

TEST(RowGradient, RowsOfAnyWidthRoundTheirStatesWithTheNoiseOfTheirPlace) {
  // Both tables have the same elements, one as rows of 6 and one as a single row that is visited as a whole.
  const auto states = [](bool by_rows) {
    Tensor weight = Tensor::zeros(by_rows ? Shape{50, 6} : Shape{1, 300});
    set_requires_grad(weight);
    AdamW adamw({weight}, {.lr = 0.1, .lazy = true});
    adamw.set_state_dtype(DType::bf16);
    std::vector<int64_t> all(50);
    std::iota(all.begin(), all.end(), 0);
    Generator rng(4);
    const Tensor g = randn({300}, rng);
    backward(sum(mul(embedding(weight, ids(by_rows ? all : std::vector<int64_t>{0})).reshape({300}), g)));
    adamw.step();
    const Tensor moment = adamw.state_dict().at("parameter.0.exp_avg").to(DType::f32).reshape({300});
    return values(moment);
  };
  EXPECT_EQ(states(true), states(false));
}

TEST(RowGradient, MemoryOfOthersAndWritesInPlaceAreNotTracked) {
  const Tensor lent = table();
  Tensor arena = Tensor::zeros({2 * kEntries, kWidth});
  set_grad_buffer(lent, arena.slice(0, 0, kEntries));
  look_up(lent, {3});
  EXPECT_EQ(row_grad(lent).rows, nullptr);
  zero_grad(lent);
  arena.fill(9);
  look_up(lent, {3});
  const Tensor held = table();
  look_up(held, {3});
  Tensor handle = grad(held);
  zero_grad(held);
  look_up(held, {4});
  zero_grad(held);
  handle.fill(9);
  look_up(held, {3});
  const Tensor plain = table();
  look_up(plain, {3});
  EXPECT_EQ(values(grad(lent)), values(grad(plain)));
  EXPECT_EQ(values(grad(held)), values(grad(plain)));
}

TEST(RowGradient, ClippingAndCheckingReachEveryRow) {
  const Tensor weight = table(), dense = table();
  for (const Tensor& t : {weight, dense}) look_up(t, {0, 49, 49});
  grad(dense);
  EXPECT_NEAR(clip_grad_norm({weight}, 0.5), clip_grad_norm({dense}, 0.5), 1e-6);
  ASSERT_NE(row_grad(weight).rows, nullptr);
  for (int64_t i = 0; i < kEntries * kWidth; ++i) {
    EXPECT_NEAR(values(row_grad(weight).gradient)[i], values(grad(dense))[i], 1e-7) << i;
  }
  const Tensor bad = table();
  backward(mul(sum(embedding(bad, ids({49}))), Tensor::full({}, std::numeric_limits<double>::infinity())));
  EXPECT_FALSE(grads_are_finite({bad}));
}

TEST(RowGradient, AnEmptyLookUpAndAnEmptyTableWork) {
  const Tensor weight = table();
  look_up(weight, {});
  ASSERT_NE(row_grad(weight).rows, nullptr);
  EXPECT_TRUE(row_grad(weight).rows->empty());
  Tensor nothing = Tensor::zeros({0, 4});
  set_requires_grad(nothing);
  look_up(nothing, {});
  Tensor thin = Tensor::zeros({5, 0});
  set_requires_grad(thin);
  look_up(thin, {1});
  Sgd sgd({weight, nothing, thin}, {.lr = 1});
  EXPECT_EQ(clip_grad_norm({weight, nothing, thin}, 1), 0);
  sgd.step();
  EXPECT_EQ(values(weight), values(table()));
}

TEST(RowGradient, IsPutAndTaken) {
  const Tensor weight = table();
  Tensor rows = zeros({2, kWidth});
  rows.fill(7);
  look_up(weight, {1, 2, 40});
  put_row_grad(weight, std::vector<int64_t>{3, 9}, rows);
  const RowGradient put = row_grad(weight);
  ASSERT_NE(put.rows, nullptr);
  EXPECT_EQ(*put.rows, (std::vector<int64_t>{3, 9}));
  EXPECT_EQ(put.gradient.at({9, 0}), 7);
  EXPECT_EQ(put.gradient.at({2, 0}), 0);
  look_up(weight, {5, 9});
  EXPECT_EQ(*row_grad(weight).rows, (std::vector<int64_t>{3, 5, 9}));

  const RowGradient taken = take_grad(weight);
  EXPECT_EQ(*taken.rows, (std::vector<int64_t>{3, 5, 9}));
  EXPECT_FALSE(row_grad(weight).gradient.defined());
  look_up(weight, {4});
  EXPECT_EQ(*row_grad(weight).rows, (std::vector<int64_t>{4}));
  EXPECT_EQ(taken.gradient.at({3, 0}), 7);

  put_grad(weight, taken.gradient);
  EXPECT_EQ(row_grad(weight).rows, nullptr);
  EXPECT_EQ(grad(weight).at({3, 0}), 7);
}

TEST(RowGradient, WhatDoesNotFitIsNotPut) {
  const Tensor weight = table(), plain = zeros({2, kWidth}), two = zeros({2, kWidth});
  const std::vector<int64_t> rows = {3, 9}, falling = {9, 3}, outside = {3, kEntries}, one = {3};
  EXPECT_THROW(put_row_grad(plain, rows, two), AutogradError);
  EXPECT_THROW(put_row_grad(weight, falling, two), IndexError);
  EXPECT_THROW(put_row_grad(weight, outside, two), IndexError);
  EXPECT_THROW(put_row_grad(weight, one, two), ShapeError);
  EXPECT_THROW(put_grad(weight, two), ShapeError);
  EXPECT_THROW(put_grad(plain, two), AutogradError);
}

}  // namespace
}  // namespace qing::optim
