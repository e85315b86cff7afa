#include <fmt/format.h>
#include <gtest/gtest.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/module.h>
#include <qing/optim/optimizer.h>
#include <qing/tensor/random.h>
#include <qing/tensor/threads.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <memory>
#include <string>
#include <tuple>

#include "nn/temp_folder.h"
#include "optim/optimizer_rows.h"

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
  EXPECT_NEAR(p.data<double>()[0], 0, 1e-15);
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
  using Group = ParameterGroup<AdamWOptions>;
  AdamW adamw({Group{{decayed}, {.lr = 0.01, .weight_decay = 0.5}}, Group{{plain}, {.lr = 0.01, .weight_decay = 0}},
               Group{{slow}, {.lr = 0.001, .weight_decay = 0}}});
  for (const Tensor& p : {decayed, plain, slow}) give_gradient(p, {1});
  adamw.step();
  // The first step of Adam has length lr.
  EXPECT_NEAR(plain.item(), 1 - 0.01, 1e-9);
  EXPECT_NEAR(decayed.item(), 1 - 0.01 * 0.5 - 0.01, 1e-9);
  EXPECT_NEAR(slow.item(), 1 - 0.001, 1e-9);
}

TEST(Optimizers, SkipParametersWithoutGradient) {
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

TEST(Optimizers, RefuseOptionsOutOfRange) {
  const Tensor p = parameter({1});
  const std::vector<Tensor> ps = {p};
  EXPECT_THROW(Sgd(ps, {.lr = -1}), ValueError);
  EXPECT_THROW(Sgd(ps, {.lr = std::nan("")}), ValueError);
  EXPECT_THROW(Sgd(ps, {.momentum = -0.1}), ValueError);
  EXPECT_THROW(Sgd(ps, {.weight_decay = -0.1}), ValueError);
  EXPECT_THROW(Sgd(ps, {.lr = 1, .nesterov = true}), ValueError);
  EXPECT_THROW(Sgd(ps, {.momentum = 0.9, .dampening = 0.1, .nesterov = true}), ValueError);
  EXPECT_THROW(Adam(ps, {.beta2 = 1}), ValueError);
  EXPECT_THROW(Adam(ps, {.eps = -1}), ValueError);
  EXPECT_THROW(AdamW(ps, {.beta1 = 1}), ValueError);
  EXPECT_THROW(AdamW(ps, {.beta1 = -0.1}), ValueError);
  EXPECT_THROW(Adagrad(ps, {.lr_decay = -1}), ValueError);
  EXPECT_THROW(Adagrad(ps, {.initial_accumulator_value = -1}), ValueError);
  EXPECT_THROW(RMSprop(ps, {.alpha = -1}), ValueError);
  EXPECT_THROW(RMSprop(ps, {.momentum = -1}), ValueError);
  EXPECT_THROW(Lion(ps, {.beta2 = 1.5}), ValueError);
  EXPECT_THROW(Lion(ps, {.weight_decay = -1}), ValueError);
  EXPECT_THROW(Adafactor(ps, {.beta2_decay = 0.1}), ValueError);
  EXPECT_THROW(Adafactor(ps, {.d = 0.5}), ValueError);
  Sgd sgd(ps);
  EXPECT_THROW(sgd.set_lr(-1), ValueError);
  EXPECT_THROW(sgd.set_lr(1, 0.1), IndexError);
  EXPECT_THROW(sgd.lr(1), IndexError);
  EXPECT_THROW(sgd.set_momentum(0, 1), ValueError);
  EXPECT_THROW(Adagrad(ps).momentum(), ValueError);
  EXPECT_EQ(Lion(ps).momentum(), 0.9);
}

TEST(Optimizers, RefuseParametersThatAreNone) {
  using qing::test::message_of;
  const Tensor p = parameter({1, 2});
  EXPECT_THROW(Sgd(std::vector<Tensor>{}), ValueError);
  EXPECT_THROW(Sgd(std::vector<ParameterGroup<SgdOptions>>{}), ValueError);
  EXPECT_THROW(Sgd(std::vector<Tensor>{Tensor()}), ValueError);
  EXPECT_THROW(Sgd(std::vector<Tensor>{Tensor::zeros({1})}), ValueError);
  EXPECT_THROW(Sgd(std::vector<Tensor>{p * p}), ValueError);
  using Group = ParameterGroup<AdamOptions>;
  const auto twice = message_of<ValueError>([&] {
    Adam({Group{{parameter({1})}, {}}, Group{{p}, {}}, Group{{p}, {}}});
  });
  EXPECT_EQ(twice, "Adam: a parameter of shape [2] is in group 1 and again in group 2; name it once");
  const auto empty = message_of<ValueError>([&] { Adam({Group{{p}, {}}, Group{}}); });
  EXPECT_EQ(empty,
            "Adam: group 1 has no parameters; does the module report its parts in visit()? Leave an empty group out");
  struct Forgetful : nn::Module {
    Tensor weight = Tensor::zeros({2});
  } module;
  const auto forgotten = message_of<ValueError>([&] { Adam(module.parameters()); });
  EXPECT_EQ(forgotten,
            "Adam: group 0 has no parameters; does the module report its parts in visit()? Leave an empty group out");
}

Tensor random_leaf(int64_t n, uint64_t seed) {
  Generator rng(seed);
  Tensor p = Tensor::empty({n});
  rng.fill_normal(p, 0, 1);
  return set_requires_grad(p);
}

void steps(Optimizer& optimizer, const std::vector<Tensor>& ps, uint64_t first, uint64_t last) {
  for (uint64_t step = first; step < last; ++step) {
    optimizer.zero_grad();
    for (size_t i = 0; i < ps.size(); ++i) {
      Generator rng(1000 * step + i);
      Tensor g = Tensor::empty(ps[i].shape());
      rng.fill_normal(g, 0.1, 1);
      backward(sum(mul(ps[i], g)));
    }
    optimizer.step();
  }
}

std::string bits(const std::vector<Tensor>& ps) {
  std::string all;
  for (const Tensor& p : ps) all.append(reinterpret_cast<const char*>(p.data<float>()), p.numel() * sizeof(float));
  return all;
}

StateDict cloned(const StateDict& state) {
  StateDict copy;
  for (const auto& [name, tensor] : state) copy.emplace(name, tensor.clone());
  return copy;
}

// Every row of the table with the options of either group.
class EveryOptimizer : public ::testing::TestWithParam<std::tuple<test::OptimizerRow, bool>> {
 protected:
  static std::unique_ptr<Optimizer> make(const std::vector<Tensor>& parameters) {
    const auto& [row, second] = GetParam();
    return test::make_optimizer(row, second, parameters);
  }
};
INSTANTIATE_TEST_SUITE_P(Rows, EveryOptimizer,
                         ::testing::Combine(::testing::ValuesIn(test::kOptimizerRows), ::testing::Bool()),
                         [](const auto& info) {
                           const test::OptimizerRow& row = std::get<0>(info.param);
                           const int group = std::get<1>(info.param) ? 2 : 1;
                           std::string name = fmt::format("{}_{}_{}", row.optimizer, row.what, group);
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
                           return name;
                         });

TEST(Optimizers, AllHaveRows) {
  AllOptimizers::for_each([]<class O>() {
    EXPECT_TRUE(std::any_of(std::begin(test::kOptimizerRows), std::end(test::kOptimizerRows), [](const auto& row) {
      return row.optimizer == O::Options::kName;
    })) << O::Options::kName;
  });
}

TEST_P(EveryOptimizer, ResumesToTheBit) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const std::vector<Tensor> straight = {random_leaf(5, 1), random_leaf(1500, 2)};
    const std::vector<Tensor> first = {random_leaf(5, 1), random_leaf(1500, 2)};
    const auto optimizer = make(straight);
    if (dtype == DType::bf16 && std::get<0>(GetParam()).optimizer == Adafactor::Options::kName) {
      EXPECT_THROW(optimizer->set_state_dtype(dtype), DTypeError);
      continue;
    }
    optimizer->set_state_dtype(dtype);
    steps(*optimizer, straight, 0, 9);
    const auto before = make(first);
    before->set_state_dtype(dtype);
    before->set_lr(0.5);
    before->load_state_dict(make(straight)->state_dict());  // the options are state too
    steps(*before, first, 0, 4);
    const StateDict state = cloned(before->state_dict());
    std::vector<Tensor> second;
    for (const Tensor& p : first) {
      Tensor copy = detach(p).clone();
      second.push_back(set_requires_grad(copy));
    }
    const auto after = make(second);
    after->set_state_dtype(dtype);
    after->load_state_dict(state);
    steps(*after, second, 4, 9);
    EXPECT_EQ(bits(second), bits(straight));
    // Loading took a copy: the first optimizer's further steps do not disturb.
    steps(*before, first, 4, 9);
    EXPECT_EQ(bits(first), bits(straight));
  }
}

TEST(Optimizers, AnotherSizeOfStateIsRefusedWithEveryMismatch) {
  const Tensor p = parameter({1, 2}), q = parameter({1, 2, 3});
  Adam adam(std::vector<Tensor>{p}, {.lr = 0.25});
  Adam other(std::vector<Tensor>{q});
  Sgd sgd(std::vector<Tensor>{q});
  give_gradient(q, {1, 1, 1});
  other.step();
  StateDict state = cloned(other.state_dict());
  state.erase("group.0.eps");
  const auto text = qing::test::message_of<DataError>([&] { adam.load_state_dict(state); });
  EXPECT_EQ(text,
            "Adam: load_state_dict: 3 mismatches: missing group.0.eps; parameter.0.exp_avg is f64 of shape [3], needs "
            "f64 of shape [2]; parameter.0.exp_avg_sq is f64 of shape [3], needs f64 of shape [2]");
  EXPECT_EQ(adam.lr(), 0.25);  // nothing has changed
  const auto kind = qing::test::message_of<DataError>([&] { adam.load_state_dict(sgd.state_dict()); });
  EXPECT_NE(kind.find("missing group.0.beta1"), std::string::npos) << kind;
  EXPECT_NE(kind.find("unknown group.0.dampening"), std::string::npos) << kind;
  state = cloned(adam.state_dict());
  state["group.0.beta1"] = number_state(2);
  EXPECT_THROW(adam.load_state_dict(state), DataError);
  state = cloned(adam.state_dict());
  state["group.0.amsgrad"] = integer_state(2);
  EXPECT_THROW(adam.load_state_dict(state), DataError);
  state = cloned(adam.state_dict());
  state["parameter.0.step"] = integer_state(-1);
  EXPECT_THROW(adam.load_state_dict(state), DataError);
  state = cloned(adam.state_dict());
  state["group.0.parameters"] = integer_state(2);
  EXPECT_THROW(adam.load_state_dict(state), DataError);
  EXPECT_EQ(adam.options().beta1, 0.9);
}

TEST_P(EveryOptimizer, GivesTheSameBitsForOneAndThreeThreadsAndInOtherCompany) {
  const int threads = num_threads();
  std::vector<std::string> results;
  for (const int count : {1, 3}) {
    set_num_threads(count);
    const std::vector<Tensor> ps = {random_leaf(40001, 3), random_leaf(7, 4)};
    steps(*make(ps), ps, 0, 3);
    results.push_back(bits(ps));
  }
  EXPECT_EQ(results[0], results[1]);
  const std::vector<Tensor> alone = {random_leaf(40001, 3)};
  steps(*make(alone), alone, 0, 3);
  EXPECT_EQ(bits(alone), results[0].substr(0, bits(alone).size()));
  set_num_threads(threads);
}

TEST(Optimizers, StatesInBf16StayUnbiasedWhereRoundingToNearestWouldStall) {
  const int64_t n = 4096;
  Tensor p = Tensor::zeros({n});
  set_requires_grad(p);
  Adam adam({p}, {.lr = 0});
  adam.set_state_dtype(DType::bf16);
  backward(sum(p));
  adam.step();
  for (int i = 0; i < 1000; ++i) {
    adam.zero_grad();
    backward(sum(mul(p, Tensor::zeros({n}))));
    adam.step();
  }
  const Tensor v = adam.state_dict().at("parameter.0.exp_avg_sq");
  ASSERT_EQ(v.dtype(), DType::bf16);
  double mean = 0;
  for (const BFloat16 x : v.span<BFloat16>()) mean += to_float(x) / static_cast<double>(n);
  // Each step changes v by a thousandth, which bf16 cannot hold: rounding to nearest would keep it at 0.001.
  EXPECT_NEAR(mean / (0.001 * std::pow(0.999, 1000)), 1, 0.02);
  EXPECT_THROW(adam.set_state_dtype(DType::f32), ValueError);
  EXPECT_THROW(Adam(std::vector<Tensor>{parameter({1})}).set_state_dtype(DType::bf16), DTypeError);
  EXPECT_THROW(adam.set_state_dtype(DType::f16), DTypeError);
}

TEST_P(EveryOptimizer, ShowsANaNGradient) {
  const std::vector<Tensor> ps = {random_leaf(3, 1)};
  const auto optimizer = make(ps);
  backward(sum(mul(ps[0], Tensor::full({3}, std::nan("")))));
  optimizer->step();
  for (const float w : ps[0].span<float>()) EXPECT_TRUE(std::isnan(w));
}

TEST(Adafactor, AMatrixKeepsItsRowsAndColumnsOnly) {
  const auto weights_after = [](int threads) {
    const int before = num_threads();
    set_num_threads(threads);
    Tensor p = detach(random_leaf(200 * 300, 5)).reshape({200, 300});
    set_requires_grad(p);
    Adafactor adafactor({p});
    steps(adafactor, {p}, 0, 3);
    const StateDict state = adafactor.state_dict();
    EXPECT_EQ(state.at("parameter.0.row_var").shape(), (Shape{200, 1}));
    EXPECT_EQ(state.at("parameter.0.col_var").shape(), (Shape{1, 300}));
    EXPECT_FALSE(state.contains("parameter.0.variance"));
    Adafactor other({p});
    other.load_state_dict(state);
    set_num_threads(before);
    return bits({p});
  };
  EXPECT_EQ(weights_after(1), weights_after(3));
}

TEST(RMSprop, AConstantGradientHasNoNegativeVariance) {
  Tensor p = Tensor::zeros({8});
  set_requires_grad(p);
  RMSprop rmsprop({p}, {.lr = 1e-6, .alpha = 0.5, .centered = true});
  for (int i = 0; i < 100; ++i) {
    rmsprop.zero_grad();
    backward(sum(mul(p, Tensor::full({8}, 0.1))));
    rmsprop.step();
  }
  for (const float w : p.span<float>()) EXPECT_TRUE(std::isfinite(w));
}

}  // namespace
}  // namespace qing::optim
