#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/optim/lbfgs.h>
#include <qing/tensor/creation.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/warnings.h>

namespace qing::optim {
namespace {

// A leaf that requires a gradient.
Tensor leaf_of(Tensor x) { return set_requires_grad(x); }

// Rosenbrock's function, whose minimum is 0 at (1, 1), from (−1.2, 1).
struct Valley {
  Tensor x = leaf_of(Tensor::of({-1.2, 1.0}, DType::f64));
  int calls = 0;

  Tensor loss() const {
    const Tensor a = x[0], b = x[1];
    return 100 * square(b - a * a) + square(1 - a);
  }
  double step(Lbfgs& lbfgs) {
    return lbfgs.step([&] {
      ++calls;
      lbfgs.zero_grad();
      const Tensor value = loss();
      backward(value);
      return value;
    });
  }
};

TEST(Lbfgs, TheLineSearchFindsTheMinimumOfACurvedValley) {
  Valley valley;
  Lbfgs lbfgs({valley.x}, {.max_iter = 100, .max_eval = 1000, .strong_wolfe = true});
  EXPECT_NEAR(valley.step(lbfgs), 24.2, 1e-9) << "the loss at the beginning";
  EXPECT_LT(valley.loss().item(), 1e-10);
  EXPECT_NEAR(valley.x.at({0}), 1, 1e-5);
  EXPECT_LT(valley.calls, 200);
}

TEST(Lbfgs, AStepWithoutGradientsWarns) {
  const Tensor x = leaf_of(Tensor::of({1.0, 2.0}, DType::f64));
  Lbfgs lbfgs({x});
  std::vector<std::string> given;
  forget_warnings();
  set_warning_handler([&given](std::string_view text) { given.emplace_back(text); });
  lbfgs.step([&] { return sum(x * x); });  // without backward()
  lbfgs.step([&] { return sum(x * x); });
  set_warning_handler({});
  forget_warnings();
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(given[0],
            "Lbfgs: step() found no gradient of any of 1 parameters; call backward() on the loss that the closure "
            "returns");
}

TEST(Lbfgs, FixedStepsAreThoseOfTheUsualFormula) {
  const Tensor x = leaf_of(Tensor::of({1.0, 2.0, 3.0}, DType::f64));
  Lbfgs lbfgs({x}, {.lr = 0.5, .max_iter = 2, .max_eval = 10, .history_size = 5});
  const auto loss = [&] {
    lbfgs.zero_grad();
    const Tensor value = 0.5 * sum(x * x);
    backward(value);
    return value;
  };
  EXPECT_NEAR(lbfgs.step(loss), 7, 1e-12);
  // The first step has the length lr/Σ|g|; the Hessian is 1, so that the second estimate is exact and goes half the
  // way.
  const double kept = (1 - 0.5 / 6) * 0.5;
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(x.at({i}), (i + 1) * kept, 1e-12);
}

TEST(Lbfgs, AStateContinuesToTheSameNumbers) {
  Valley whole, parts;
  const LbfgsOptions options{.max_iter = 5, .history_size = 3, .strong_wolfe = true};
  Lbfgs first({whole.x}, options), second({parts.x}, options);
  for (int i = 0; i < 2; ++i) whole.step(first), parts.step(second);
  Lbfgs third({parts.x}, options);
  third.load_state_dict(second.state_dict());
  whole.step(first);
  parts.step(third);
  EXPECT_EQ(whole.x.at({0}), parts.x.at({0}));
  EXPECT_EQ(whole.x.at({1}), parts.x.at({1}));
  nn::StateDict damaged = second.state_dict();
  damaged.erase("history.1.change");
  EXPECT_THROW(third.load_state_dict(damaged), DataError);
}

TEST(Lbfgs, SeveralParametersOfF32) {
  Generator rng(3);
  const Tensor inputs = randn({40, 3}, rng), truth = Tensor::of({{1, -2, 3}});
  const Tensor targets = linear(inputs, truth);
  const Tensor weight = leaf_of(Tensor::zeros({1, 3})), bias = leaf_of(Tensor::zeros({1}));
  Lbfgs lbfgs({weight, bias}, {.strong_wolfe = true});
  lbfgs.step([&] {
    lbfgs.zero_grad();
    const Tensor loss = mse_loss(linear(inputs, weight, bias), targets);
    backward(loss);
    return loss;
  });
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(weight.at({0, i}), truth.at({0, i}), 1e-3);
}

TEST(Lbfgs, RefusesWhatItCannotUse) {
  const Tensor x = leaf_of(Tensor::zeros({2}));
  EXPECT_THROW(Lbfgs({}), ValueError);
  EXPECT_THROW(Lbfgs({Tensor::zeros({2})}), ValueError);
  EXPECT_THROW(Lbfgs({x}, {.lr = 0}), ValueError);
  EXPECT_THROW(Lbfgs({x}, {.history_size = 0}), ValueError);
  Lbfgs lbfgs({x});
  EXPECT_THROW(lbfgs.step([&] {
    const Tensor loss = sum(x) * std::nan("");
    backward(loss);
    return loss;
  }),
               ValueError);
}

}  // namespace
}  // namespace qing::optim
