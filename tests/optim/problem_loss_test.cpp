#include <qing/optim/classifier/problem_loss.h>

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/functional/gradcheck.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

TEST(OrdinalLoss, IsTheSquaredDistanceOfTheSums) {
  // Of equal logits the shares are 1/3: the sums 1/3 and 2/3 differ from 0 and 1 by 1/3 each.
  const Tensor target = Tensor::from<double>(std::vector<double>{0, 1, 0}, {1, 3});
  const Tensor logits = Tensor::zeros({1, 3}, DType::f64);
  EXPECT_NEAR(ordinal_loss(logits, target).item(), 2.0 / 9, 1e-12);
  const Tensor far = Tensor::from<double>(std::vector<double>{0, 0, 1}, {1, 3});
  EXPECT_NEAR(ordinal_loss(logits, far).item(), 1.0 / 9 + 4.0 / 9, 1e-12);
}

TEST(OrdinalLoss, HasItsGradient) {
  const Tensor target = Tensor::from<double>(std::vector<double>{0, 1, 0, 0, 0.25, 0.75}, {2, 3});
  Tensor logits = Tensor::from<double>(std::vector<double>{0.3, -1, 0.5, 2, 0.1, -0.4}, {2, 3});
  set_requires_grad(logits);
  const GradcheckResult result = gradcheck([&](const auto& x) { return ordinal_loss(x[0], target); }, {logits});
  EXPECT_TRUE(result.ok) << result.message;
}

TEST(PositiveWeights, AreRatiosToThePower) {
  std::vector<nn::Example> examples(8, nn::Example{.text = "a", .label = -1, .source = ""});
  for (int i = 0; i < 2; ++i) examples[static_cast<size_t>(i)].labels = {0};
  TrainOptions options;
  options.labels = {"a", "b"};
  options.multi_label = 1;
  EXPECT_FALSE(positive_weights(examples, options).defined());
  options.positive_weight = 0.5;
  const Tensor weights = positive_weights(examples, options);
  EXPECT_FLOAT_EQ(weights.data<float>()[0], std::sqrt(3.0F));
  EXPECT_FLOAT_EQ(weights.data<float>()[1], 1) << "no text has the label";
}

TEST(Problem, ExamplesMustFit) {
  TrainOptions options;
  options.labels = {"a", "b"};
  options.multi_label = 1;
  nn::Example example{.text = "a", .label = -1, .source = ""};
  for (const std::vector<int32_t>& labels : {std::vector<int32_t>{1, 0}, {0, 0}, {2}, {-1}}) {
    example.labels = labels;
    EXPECT_THROW(check_problem_examples(options, std::vector{example}), ValueError);
  }
  example.labels = {0, 1};
  check_problem_examples(options, std::vector{example});
  options.multi_label = 0;
  EXPECT_THROW(check_problem_examples(options, std::vector{example}), ValueError) << "several labels of one";
  options.ordinal = options.regression = 1;
  EXPECT_THROW(check_problem(options), ValueError) << "two kinds";
}

}  // namespace
}  // namespace qing::optim
