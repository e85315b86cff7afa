#include <qing/nn/calibration.h>

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include <qing/tensor/errors.h>
#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing::nn {
namespace {

// Labels drawn from softmax(logits / temperature).
struct Drawn {
  explicit Drawn(double temperature, int64_t rows = 20000) {
    Generator rng(7);
    Tensor normal = Tensor::empty({rows, 3}), uniform = Tensor::empty({rows});
    rng.fill_normal(normal, 0, 3);
    rng.fill_uniform(uniform, 0, 1);
    logits.assign(normal.span<float>().begin(), normal.span<float>().end());
    for (int64_t i = 0; i < rows; ++i) {
      double weights[3], sum = 0;
      for (int64_t j = 0; j < 3; ++j) sum += weights[j] = std::exp(normal.data<float>()[3 * i + j] / temperature);
      double left = uniform.data<float>()[i] * sum;
      int32_t label = 0;
      while (label < 2 && left > weights[label]) left -= weights[label++];
      expected.push_back(label);
    }
  }
  LabelledLogits data() const { return {logits, expected, 3}; }
  std::vector<float> logits;
  std::vector<int32_t> expected;
};

// The loss that fit_temperature minimises, by its definition.
double smoothed_loss(const LabelledLogits& data, double temperature) {
  const auto labels = static_cast<size_t>(data.labels);
  std::vector<double> counts(labels);
  for (const int32_t label : data.expected) ++counts[static_cast<size_t>(label)];
  double loss = 0;
  for (size_t i = 0; i < data.expected.size(); ++i) {
    const auto own = static_cast<size_t>(data.expected[i]);
    double sum = 0;
    for (size_t j = 0; j < labels; ++j) sum += std::exp(data.logits[i * labels + j] / temperature);
    for (size_t j = 0; j < labels; ++j) {
      const double target = (j == own ? counts[own] + 1 : 1) / (counts[own] + static_cast<double>(labels));
      loss -= target * (data.logits[i * labels + j] / temperature - std::log(sum));
    }
  }
  return loss;
}

TEST(Calibration, FindsTheTemperatureThatLabelsWereDrawnWith) {
  for (const double temperature : {0.5, 1.0, 2.5}) {
    const Drawn drawn(temperature);
    const double fitted = fit_temperature(drawn.data());
    EXPECT_NEAR(fitted / temperature, 1, 0.05);
    for (const double factor : {1 / 1.01, 1.01}) {
      EXPECT_LT(smoothed_loss(drawn.data(), fitted), smoothed_loss(drawn.data(), fitted * factor));
    }
    for (const double factor : {1 / 1.03, 1.03}) {  // with so many texts the smoothing has little effect
      EXPECT_LT(log_loss(drawn.data(), fitted), log_loss(drawn.data(), fitted * factor));
    }
    EXPECT_LT(expected_calibration_error(drawn.data(), fitted), 0.02);
    EXPECT_GT(expected_calibration_error(drawn.data(), 3 * fitted), 0.1);
  }
}

TEST(Calibration, FollowsTheDefinitions) {
  // The scores of log weights are the weights: {.8, .2} correct, {.8, .2} wrong, {.4, .6} correct.
  std::vector<float> logits = {.8f, .2f, .8f, .2f, .4f, .6f};
  for (float& logit : logits) logit = std::log(logit);
  const std::vector<int32_t> expected = {0, 1, 1};
  const LabelledLogits data{logits, expected, 2};
  EXPECT_NEAR(log_loss(data), -(std::log(.8) + std::log(.2) + std::log(.6)) / 3, 1e-6);
  // In the bin of .8 half of two texts are correct: |.5 − .8|. In the bin of .6 all are correct.
  EXPECT_NEAR(expected_calibration_error(data), (2 * .3 + .4) / 3, 1e-6);
  EXPECT_NEAR(expected_calibration_error(data, 1, 1), std::abs(2. / 3 - 2.2 / 3), 1e-6);
  // exp(z/2) of {.8, .2} is in the ratio of 2 to 1.
  const LabelledLogits first{std::span(logits).first(2), std::span(expected).first(1), 2};
  EXPECT_NEAR(log_loss(first, 2), -std::log(2. / 3), 1e-6);
}

TEST(Calibration, TheNumberOfCorrectTextsLimitsTheConfidence) {
  // Two labels, n texts each, all with logits 2 apart: sigmoid(2/T) = (n + 1)/(n + 2), hence T = 2/log(n + 1).
  for (const int n : {1, 9, 99}) {
    std::vector<float> logits;
    std::vector<int32_t> right;
    for (int i = 0; i < n; ++i) {
      logits.insert(logits.end(), {2, 0, 0, 2});
      right.insert(right.end(), {0, 1});
    }
    EXPECT_NEAR(fit_temperature({logits, right, 2}), 2 / std::log(n + 1.0), 1e-12) << n;
  }
}

TEST(Calibration, MinimisesTheSmoothedLoss) {
  const Drawn drawn(1.5, 40);
  const double fitted = fit_temperature(drawn.data());
  for (const double factor : {0.5, 0.9, 0.99, 1.01, 1.1, 2.0}) {
    EXPECT_LT(smoothed_loss(drawn.data(), fitted), smoothed_loss(drawn.data(), fitted * factor)) << factor;
  }
}

TEST(Calibration, StaysWithinItsBounds) {
  const std::vector<float> logits = {2, 0, 0, 2}, small = {1e-3F, 0, 0, 1e-3F};
  const std::vector<int32_t> right = {0, 1}, wrong = {1, 0};
  EXPECT_EQ(fit_temperature({small, right, 2}), kLeastTemperature);
  EXPECT_EQ(fit_temperature({logits, wrong, 2}), kGreatestTemperature);
  EXPECT_EQ(fit_temperature({{}, {}, 2}), 1);
  EXPECT_EQ(log_loss({{}, {}, 2}), 0);
  EXPECT_EQ(expected_calibration_error({{}, {}, 2}), 0);
}

TEST(Calibration, RefusesWhatDoesNotFit) {
  const std::vector<float> logits = {2, 0, 0, 2};
  const std::vector<int32_t> one = {0}, beyond = {0, 2}, below = {0, -1}, good = {0, 1};
  EXPECT_THROW(fit_temperature({logits, one, 2}), ShapeError);
  EXPECT_THROW(log_loss({logits, beyond, 2}), IndexError);
  EXPECT_THROW(log_loss({logits, below, 2}), IndexError);
  EXPECT_THROW(expected_calibration_error({logits, good, 2}, 1, 0), ValueError);
}

}  // namespace
}  // namespace qing::nn
