#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/layers.h>
#include <qing/nn/training_mode.h>
#include <qing/optim/optimizer.h>
#include <qing/tensor/warnings.h>

namespace qing::optim {
namespace {

class StepWarnings : public ::testing::Test {
 protected:
  StepWarnings() {
    forget_warnings();
    nn::forget_modes();
    set_warning_handler([this](std::string_view text) { given_.emplace_back(text); });
    model_.set_requires_grad(true);
  }
  ~StepWarnings() override {
    set_warning_handler({});
    forget_warnings();
    nn::forget_modes();
  }
  void train_once(Sgd& sgd, double factor = 1) {
    sgd.zero_grad();
    backward(sum(model_(Tensor::full({2, 3}, 1), &rng_)) * factor);
    sgd.step();
  }

  Generator rng_{1};
  nn::Sequential model_{nn::Linear(3, 4, rng_), nn::Dropout(0.5), nn::Linear(4, 2, rng_)};
  std::vector<std::string> given_;
};

TEST_F(StepWarnings, AStepWithoutGradientsWarnsOnce) {
  Sgd sgd(model_.parameters());
  sgd.step();
  sgd.step();
  ASSERT_EQ(given_.size(), 1U);
  EXPECT_NE(given_[0].find("Sgd: step() found no gradient of any of 4 parameters"), std::string::npos) << given_[0];
}

TEST_F(StepWarnings, AStepWithZeroGradientsWarnsOnce) {
  model_.train();
  Sgd sgd(model_.parameters());
  train_once(sgd, 0);
  train_once(sgd, 0);
  ASSERT_EQ(given_.size(), 1U);
  EXPECT_NE(given_[0].find("all gradients are zero"), std::string::npos) << given_[0];
  train_once(sgd);
  EXPECT_EQ(given_.size(), 1U);
}

TEST_F(StepWarnings, AForgottenTrainWarnsOnce) {
  Sgd sgd(model_.parameters());
  train_once(sgd);
  train_once(sgd);
  Sgd another(model_.parameters());
  train_once(another);
  ASSERT_EQ(given_.size(), 1U);
  EXPECT_NE(given_[0].find("call train() on the model"), std::string::npos) << given_[0];
}

TEST_F(StepWarnings, TrainingWithoutFaultsIsSilent) {
  {
    const NoGradGuard no_grad;  // an evaluation before the training
    model_(Tensor::full({2, 3}, 1));
  }
  model_.train();
  Sgd sgd(model_.parameters());
  train_once(sgd);
  model_.eval();
  train_once(sgd);
  EXPECT_TRUE(given_.empty()) << given_.front();
}

// A model whose visit() may forget a layer.
struct Forgetful : nn::Module {
  Forgetful(Generator& rng, bool reports_last) : first(3, 4, rng), last(4, 2, rng), reports_last(reports_last) {}
  void visit(Visitor& visitor) override {
    visitor.module("first", first);
    if (reports_last) visitor.module("last", last);
  }
  Tensor operator()(const Tensor& x) const { return last(first(x)); }

  nn::Linear first, last;
  bool reports_last;
};

TEST_F(StepWarnings, ALayerThatNoVisitReportsWarnsOnce) {
  Forgetful model(rng_, false);
  model.set_requires_grad(true);
  model(Tensor::full({2, 3}, 1));  // before there is an optimizer, a pass does not count
  EXPECT_TRUE(given_.empty());
  Sgd sgd(model.parameters());
  for (int step = 0; step < 2; ++step) {
    backward(sum(model(Tensor::full({2, 3}, 1))));
    sgd.step();
  }
  ASSERT_EQ(given_.size(), 1U);
  EXPECT_NE(given_[0].find("Sgd: a layer took part in the forward pass that no module reports, so it is not trained: "
                           "Linear with a weight of shape [2, 4]; report it in visit()"),
            std::string::npos)
      << given_[0];
}

TEST_F(StepWarnings, LayersThatAreReportedOrFrozenAreSilent) {
  Forgetful reporting(rng_, true), frozen(rng_, false), evaluated(rng_, false);
  reporting.set_requires_grad(true);
  frozen.set_requires_grad(true);
  frozen.last.freeze();
  Sgd sgd(reporting.parameters()), other(frozen.parameters());
  {
    const NoGradGuard guard;
    evaluated(Tensor::full({2, 3}, 1));
  }
  backward(sum(reporting(Tensor::full({2, 3}, 1)) + frozen(Tensor::full({2, 3}, 1))));
  sgd.step();
  other.step();
  EXPECT_TRUE(given_.empty()) << given_.front();
}

TEST_F(StepWarnings, ALeafWithAGradientAndNoOptimizerWarnsOnce) {
  nn::Linear linear(3, 2, rng_);
  linear.set_requires_grad(true);
  Tensor scale = Tensor::full({2}, 1), other = Tensor::full({1}, 1);
  set_requires_grad(scale);
  set_requires_grad(other);
  Sgd sgd(linear.parameters()), of_other({other});
  for (int step = 0; step < 2; ++step) {
    backward(sum(linear(Tensor::full({4, 3}, 1)) * scale * other));
    sgd.step();
    of_other.step();
  }
  ASSERT_EQ(given_.size(), 1U);
  EXPECT_NE(given_[0].find("Sgd: backward() gave gradients to tensors that no optimizer has, so they are not trained: "
                           "shapes [2]; report them in visit()"),
            std::string::npos)
      << given_[0];
}

TEST_F(StepWarnings, AParameterThatWasFrozenForAWhileIsSilent) {
  nn::Linear linear(3, 2, rng_);
  linear.set_requires_grad(true);
  Sgd sgd(linear.parameters());
  linear.freeze();
  linear.unfreeze();
  backward(sum(linear(Tensor::full({2, 3}, 1))));
  sgd.step();
  EXPECT_TRUE(given_.empty()) << given_.front();
}

TEST_F(StepWarnings, AModelThatTrainsAsItEvaluatesIsSilent) {
  nn::Linear linear(3, 2, rng_);
  linear.set_requires_grad(true);
  Sgd sgd(linear.parameters());
  backward(sum(linear(Tensor::full({2, 3}, 1))));
  sgd.step();
  EXPECT_TRUE(given_.empty()) << given_.front();
}

}  // namespace
}  // namespace qing::optim
