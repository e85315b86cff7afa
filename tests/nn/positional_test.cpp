#include <qing/nn/layers/positional.h>

#include <gtest/gtest.h>

#include <cmath>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/creation.h>
#include <qing/tensor/ops/compare.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;

TEST(Positions, SinusoidsFollowTheirFormula) {
  const Tensor table = sinusoidal_positions(4, 5, DType::f64);
  ASSERT_EQ(table.shape(), (Shape{4, 5}));
  for (int64_t t = 0; t < 4; ++t) {
    for (int64_t i = 0; 2 * i < 5; ++i) {
      const double angle = static_cast<double>(t) / std::pow(10000, 2.0 * static_cast<double>(i) / 5);
      EXPECT_NEAR(table.at({t, 2 * i}), std::sin(angle), 1e-15);
      if (2 * i + 1 == 5) continue;
      EXPECT_NEAR(table.at({t, 2 * i + 1}), std::cos(angle), 1e-15);
    }
  }
  EXPECT_EQ(sinusoidal_positions(0, 2).shape(), (Shape{0, 2}));
  EXPECT_THROW(sinusoidal_positions(-1, 2), ValueError);
  EXPECT_THROW(sinusoidal_positions(1, 0), ValueError);
}

TEST(Positions, ARaggedBatchGetsTheRowsOfItsPositions) {
  Generator rng(1);
  const Tensor x = randn({5, 4}, rng);
  const Tensor positions = Tensor::from<int32_t>({0, 1, 0, 1, 2}, {5});
  const auto check = [&](const auto& layer) {
    const Tensor ragged = layer.forward(x, positions);
    EXPECT_TRUE(identical(ragged.slice(0, 0, 2).contiguous(), layer(x.slice(0, 0, 2))));
    EXPECT_TRUE(identical(ragged.slice(0, 2, 5).contiguous(), layer(x.slice(0, 2, 5))));
    EXPECT_FALSE(identical(ragged, x));
  };
  check(SinusoidalPositionalEncoding(4, 10));
  check(LearnedPositionalEncoding(4, 10, rng));
}

TEST(Positions, ALearnedTableGetsAGradientForTheUsedRows) {
  Generator rng(2);
  LearnedPositionalEncoding layer(3, 4, rng);
  ASSERT_EQ(layer.named_parameters().size(), 1U);
  EXPECT_EQ(layer.named_parameters()[0].first, "weight");
  layer.unfreeze();
  backward(sum(layer(Tensor::zeros({5, 2, 3}))));
  const Tensor gradient = grad(layer.weight());
  for (int64_t t = 0; t < 4; ++t) EXPECT_EQ(gradient.at({t, 0}), t < 2 ? 5 : 0);
  EXPECT_EQ(SinusoidalPositionalEncoding(3).parameter_count(), 0);
}

TEST(Positions, RefusePositionsOutsideTheTable) {
  Generator rng(3);
  const LearnedPositionalEncoding learned(3, 4, rng);
  const std::string message = message_of<ShapeError>([&] { learned(Tensor::zeros({1, 5, 3})); });
  EXPECT_NE(message.find("LearnedPositionalEncoding: x [1, 5, 3]"), std::string::npos) << message;
  EXPECT_THROW(learned(Tensor::zeros({4, 2})), ShapeError);
  EXPECT_THROW(learned(Tensor::zeros({3})), ShapeError);
  EXPECT_THROW(learned(Tensor::zeros({2, 3}, DType::f64)), DTypeError);
  EXPECT_THROW(learned.forward(Tensor::zeros({2, 3}), Tensor::from<int64_t>({0, 4}, {2})), IndexError);
  EXPECT_THROW(learned.forward(Tensor::zeros({2, 3}), Tensor::from<int64_t>({0, 1, 2}, {3})), ShapeError);
  EXPECT_THROW(SinusoidalPositionalEncoding(0), ValueError);
  EXPECT_THROW(SinusoidalPositionalEncoding(2, 3)(Tensor::zeros({4, 2})), ShapeError);
}

TEST(Alibi, SlopesAreThoseOfThePaper) {
  const auto expect_slopes = [](int64_t heads, const std::vector<double>& wanted) {
    const Tensor slopes = alibi_slopes(heads, DType::f64);
    ASSERT_EQ(slopes.numel(), static_cast<int64_t>(wanted.size()));
    for (size_t h = 0; h < wanted.size(); ++h) EXPECT_DOUBLE_EQ(slopes.data<double>()[h], wanted[h]);
  };
  expect_slopes(1, {std::exp2(-8)});
  expect_slopes(8, {0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625});
  // Six heads have the slopes of 4 heads, then every second slope of 8 heads.
  expect_slopes(6, {0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125});
  EXPECT_THROW(alibi_slopes(0), ValueError);
}

TEST(Alibi, TheBiasDependsOnDistancesAlone) {
  const Tensor bias = alibi_bias(2, 3, 5, 2, DType::f64);
  ASSERT_EQ(bias.shape(), (Shape{2, 3, 5}));
  for (int64_t h = 0; h < 2; ++h) {
    for (int64_t i = 0; i < 3; ++i) {
      for (int64_t j = 0; j < 5; ++j) {
        EXPECT_DOUBLE_EQ(bias.at({h, i, j}),
                         -std::exp2(-4.0 * static_cast<double>(h + 1)) * std::abs(static_cast<double>(2 + i - j)));
      }
    }
  }
  EXPECT_EQ(bias.at({0, 1, 3}), 0);
  EXPECT_THROW(alibi_bias(2, -1, 1), ValueError);
}

// Decoding with a cache gives the same rows as the whole sequence.
TEST(Alibi, AQueryDecodedAloneGetsItsRowOfTheFullResult) {
  Generator rng(4);
  const Tensor q = randn({1, 2, 5, 4}, rng, DType::f64), k = randn({1, 2, 5, 4}, rng, DType::f64);
  const Tensor whole =
      scaled_dot_product_attention(q, k, k, {.attn_mask = alibi_bias(2, 5, 5, 0, DType::f64), .is_causal = true});
  const Tensor last = scaled_dot_product_attention(
      q.slice(2, 4, 5), k, k, {.attn_mask = alibi_bias(2, 1, 5, 4, DType::f64), .is_causal = true, .first_query = 4});
  EXPECT_TRUE(allclose(last, whole.slice(2, 4, 5), 0, 1e-15));
  EXPECT_FALSE(allclose(scaled_dot_product_attention(q, k, k, {.is_causal = true}), whole, 0, 1e-6));
}

}  // namespace
}  // namespace qing::nn
