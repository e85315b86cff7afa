#include <qing/nn/layers/parametrizations.h>

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/functional/gradcheck.h>
#include <qing/autograd/ops.h>
#include <qing/nn/data/augment.h>
#include <qing/nn/data/collate.h>
#include <qing/nn/data/data_loader.h>
#include <qing/nn/layers/layers.h>
#include <qing/nn/models/sampling.h>
#include <qing/tensor/creation.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/ops/compare.h>

namespace qing::nn {
namespace {

Tensor drawn(const Shape& shape) {
  Generator rng(4);
  return randn(shape, rng, DType::f64);
}

Tensor leaf_of(Tensor x) { return set_requires_grad(x); }

TEST(WeightNorm, BeginsWithTheWeightAndSplitsItsLength) {
  const Tensor weight = drawn({3, 4, 2});
  WeightNorm norm(weight);
  EXPECT_TRUE(allclose(norm(), weight, 0, 1e-14));
  EXPECT_EQ(norm.get_parameter("original0").shape(), (Shape{3, 1, 1}));
  norm.get_parameter("original0").mul_(2);
  EXPECT_TRUE(allclose(norm(), 2 * weight, 0, 1e-14));
  const auto result = gradcheck([](const std::vector<Tensor>& in) { return weight_norm(in[0], in[1], 1); },
                                {leaf_of(drawn({2, 3})), leaf_of(drawn({1, 3}))});
  EXPECT_TRUE(result.ok) << result.message;
  EXPECT_THROW(weight_norm(weight, drawn({3})), ShapeError);
  EXPECT_THROW(WeightNorm(weight, 3), IndexError);
}

TEST(SpectralNorm, DividesByTheLargestSingularValue) {
  Generator rng(5);
  const Tensor weight = drawn({4, 3, 2});
  SpectralNorm norm(weight, rng, {.dim = 1});
  norm.train();
  for (int i = 0; i < 100; ++i) norm();
  norm.eval();
  const Tensor y = norm();
  EXPECT_NEAR(linalg::svdvals(y.movedim(1, 0).reshape({3, 8})).at({0}), 1, 1e-9);
  EXPECT_TRUE(identical(norm(), y)) << "evaluation does not iterate";
  // The vectors are constants of the gradient.
  norm.set_requires_grad(true);
  Tensor original = norm.get_parameter("original");
  const auto result = gradcheck([&](const std::vector<Tensor>&) { return norm(); }, {original});
  EXPECT_TRUE(result.ok) << result.message;
  EXPECT_THROW(SpectralNorm(drawn({3}), rng), ShapeError);
  EXPECT_THROW(SpectralNorm(weight, rng, {.n_power_iterations = 0}), ValueError);
}

TEST(FeatureDropout, DropsWholeChannels) {
  Generator rng(6);
  Dropout2d dropout(0.5);
  const Tensor x = Tensor::full({8, 16, 3, 2}, 1);
  EXPECT_TRUE(identical(dropout(x), x)) << "evaluation";
  dropout.train();
  const Tensor y = dropout(x, &rng).contiguous();
  int kept = 0;
  for (int64_t channel = 0; channel < 128; ++channel) {
    const auto values = y.span<float>().subspan(static_cast<size_t>(6 * channel), 6);
    for (const float value : values) EXPECT_EQ(value, values[0]);
    EXPECT_TRUE(values[0] == 0 || values[0] == 2);
    kept += values[0] != 0;
  }
  EXPECT_NEAR(kept, 64, 30);
  EXPECT_THROW(dropout(x.flatten(1), &rng), ShapeError);
  EXPECT_THROW(dropout(x), ValueError) << "no generator";
  EXPECT_THROW(Dropout3d(1.5), ValueError);
}

TEST(RecurrentCells, StatesThatDoNotFit) {
  Generator rng(7);
  const LSTMCell cell(3, 4, rng);
  EXPECT_EQ(cell(Tensor::zeros({3})).h.shape(), (Shape{4}));
  EXPECT_THROW(cell(Tensor::zeros({2, 2})), ShapeError);
  EXPECT_THROW(cell(Tensor::zeros({2, 3}), {Tensor::zeros({1, 4}), {}}), ShapeError);
  EXPECT_THROW(cell(Tensor::zeros({2, 3}), {{}, Tensor::zeros({2, 3})}), ShapeError);
  EXPECT_THROW(GRUCell(0, 4, rng), ValueError);
}

TEST(TokenSampler, TopPKeepsTheNucleus) {
  Generator rng(8);
  // Probabilities 0.5, 0.3, 0.15, 0.05.
  const Tensor logits = log(Tensor::of({{0.05, 0.5, 0.15, 0.3}}, DType::f64));
  const auto seen = [&](double top_p) {
    std::vector<int> counts(4);
    const TokenSampler sampler({.temperature = 1, .top_p = top_p}, &rng);
    for (int i = 0; i < 2000; ++i) ++counts[static_cast<size_t>(sampler.draw(logits).item())];
    return counts;
  };
  EXPECT_EQ(seen(0.4), (std::vector<int>{0, 2000, 0, 0}));
  const std::vector<int> two = seen(0.79);
  EXPECT_EQ(two[0] + two[2], 0);
  EXPECT_NEAR(two[1], 1250, 100);
  EXPECT_GT(seen(0.9)[2], 0);
  EXPECT_GT(seen(1)[0], 0);
  EXPECT_THROW(TokenSampler({.temperature = 1, .top_p = 0}, &rng), ValueError);
  EXPECT_THROW(TokenSampler({.temperature = 1, .top_p = 1.1}, &rng), ValueError);
}

// What a loader of numbers with noise gives in two epochs.
std::vector<double> noisy(int64_t workers, uint64_t seed, bool thirsty) {
  const auto noise = [thirsty](double x, Generator& rng) {
    if (thirsty && x == 1) rng.next_u64();  // draws more than the others
    return x + static_cast<double>(rng.below(1 << 20)) * 0x1p-21;
  };
  DataLoader loader(VectorDataset<double>({0, 1, 2, 3, 4, 5}), augmented(seed, noise, default_collate),
                    {.batch_size = 2, .num_workers = workers});
  std::vector<double> all;
  while (loader.epoch() < 2) {
    for (const Tensor& batch : loader) {
      for (int64_t i = 0; i < batch.numel(); ++i) all.push_back(batch.at({i}));
    }
  }
  return all;
}

TEST(Augmented, EveryExampleHasAGeneratorOfItsOwn) {
  const std::vector<double> plain = noisy(0, 1, false), thirsty = noisy(2, 1, true);
  ASSERT_EQ(plain.size(), 12U);
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(std::floor(plain[i]), i % 6);
    if (i % 6 != 1) { EXPECT_EQ(plain[i], thirsty[i]) << "another example's draws, or the workers, count"; }
    if (i < 6) { EXPECT_NE(plain[i], plain[i + 6]) << "the epochs are equal"; }
  }
  EXPECT_NE(plain[1], thirsty[1]);
  EXPECT_NE(plain[0] - 0, plain[2] - 2) << "two examples have one generator";
  EXPECT_NE(plain, noisy(0, 2, false));
}

}  // namespace
}  // namespace qing::nn
