#include <qing/nn/models/translation_model.h>

#include <gtest/gtest.h>

#include <qing/autograd/autograd.h>
#include <qing/autograd/functional/gradcheck.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/positional.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/threads.h>

#include "nn/small_translation.h"

namespace qing::nn {
namespace {

using test::random_sentences;
using test::random_translation_model;
using test::small_translation_config;
using test::spans;

TranslationBatch pairs(const std::vector<int64_t>& sources, const std::vector<int64_t>& targets) {
  const auto from = random_sentences(sources, 23, 1), to = random_sentences(targets, 23, 2);
  return TranslationBatch::of(spans(from), spans(to), 2);
}

class TranslationModelOf : public ::testing::TestWithParam<std::pair<std::string, TranslationConfig>> {
 protected:
  ~TranslationModelOf() override { set_num_threads(before_); }
  int before_ = num_threads();
};

TEST_P(TranslationModelOf, LossIsTheCrossEntropyOfItsLogits) {
  TranslationModel model = random_translation_model(GetParam().second);
  model.set_requires_grad(true);
  const TranslationBatch batch = pairs({5, 1, 9}, {3, 7, 1});
  const Tensor loss = model.loss(batch, 0.1);
  backward(loss);
  std::vector<Tensor> gradients;
  for (const Tensor& parameter : model.parameters()) gradients.push_back(grad(parameter).clone());
  model.zero_grad();
  const Tensor expected =
      cross_entropy(model.forward(batch.source, batch.target), batch.labels, {.label_smoothing = 0.1});
  backward(expected);
  EXPECT_NEAR(loss.item(), expected.item(), 1e-5 * expected.item());
  size_t i = 0;
  for (const auto& [name, parameter] : model.named_parameters()) {
    EXPECT_TRUE(allclose(gradients[i++], grad(parameter), 1e-4, 1e-5)) << name;
  }
}

TEST_P(TranslationModelOf, APairDoesNotDependOnOthersOrThreads) {
  const NoGradGuard guard;
  const TranslationModel model = random_translation_model(GetParam().second);
  const TranslationBatch batch = pairs({30, 5, 1, 40, 38}, {20, 3, 40, 1, 35});
  const Tensor together = model.forward(batch.source, batch.target);
  set_num_threads(1);
  for (int64_t s = 0; s < 5; ++s) {
    const Tensor alone = model.forward(batch.source.part(s, s + 1), batch.target.part(s, s + 1));
    EXPECT_TRUE(identical(alone, together.slice(0, batch.target.offsets[s], batch.target.offsets[s + 1]))) << s;
  }
  set_num_threads(4);
  EXPECT_TRUE(identical(model.forward(batch.source, batch.target), together));
}

TEST_P(TranslationModelOf, ATokenSeesNoLaterOne) {
  const NoGradGuard guard;
  const TranslationModel model = random_translation_model(GetParam().second);
  const auto source = random_sentences({6}, 23), target = random_sentences({8}, 23, 3);
  const std::vector<std::span<const int32_t>> shorter{std::span(target[0]).first(5)};
  const RaggedBatch from = RaggedBatch::of(spans(source));
  const Tensor all = model.forward(from, RaggedBatch::of(spans(target)));
  EXPECT_TRUE(identical(model.forward(from, RaggedBatch::of(shorter)), all.slice(0, 0, 5)));
}

TEST_P(TranslationModelOf, CheckpointedLayersGiveTheSameGradients) {
  TranslationConfig config = GetParam().second;
  config.dropout = 0.2;
  config.attention_dropout = 0.1;
  config.activation_dropout = 0.1;
  TranslationModel model = random_translation_model(config);
  model.set_requires_grad(true);
  model.train();
  const TranslationBatch batch = pairs({5, 2}, {3, 7});
  const auto gradients = [&](bool checkpoints) {
    model.checkpoint_layers(checkpoints);
    model.zero_grad();
    Generator rng(3);
    backward(model.loss(batch, 0.1, &rng));
    std::vector<Tensor> all;
    for (const Tensor& parameter : model.parameters()) all.push_back(grad(parameter).clone());
    return all;
  };
  // Equal up to the order in which gradients of the memory are added.
  const std::vector<Tensor> kept = gradients(false), again = gradients(true);
  for (size_t i = 0; i < kept.size(); ++i) {
    EXPECT_TRUE(allclose(kept[i], again[i], 1e-4, 1e-6)) << model.named_parameters()[i].first;
  }
}

TEST_P(TranslationModelOf, GradientsAreThoseOfDifferences) {
  TranslationConfig config = GetParam().second;
  config.encoder_layers = config.decoder_layers = 1;
  config.activation =
      config.activation == FeedForwardActivation::relu ? FeedForwardActivation::silu : config.activation;
  TranslationModel model = random_translation_model(config);
  model.to(DType::f64);
  model.set_requires_grad(true);
  const TranslationBatch batch = pairs({3, 2}, {2, 3});
  const std::vector<Tensor> parameters = model.parameters();
  const GradcheckResult result =
      gradcheck([&](const std::vector<Tensor>&) { return model.loss(batch, 0.1); }, parameters);
  EXPECT_TRUE(result.ok) << result.message;
}

INSTANTIATE_TEST_SUITE_P(All, TranslationModelOf, ::testing::ValuesIn(test::small_translation_configs()),
                         [](const auto& info) {
                           std::string name = info.param.first;
                           std::erase(name, ' ');
                           return name;
                         });

TEST(TranslationModel, DropoutNeedsAGeneratorInTrainingMode) {
  TranslationConfig config = small_translation_config();
  config.dropout = 0.1;
  Generator rng(1);
  TranslationModel model(config, rng);
  model.train();
  const TranslationBatch batch = pairs({3}, {2});
  EXPECT_THROW(model.loss(batch), ValueError);
  EXPECT_NO_THROW(model.loss(batch, 0, &rng));
}

TEST(TranslationModel, RefusesWhatDoesNotFit) {
  const TranslationModel model = random_translation_model(small_translation_config());
  EXPECT_THROW(model.forward(pairs({41}, {2}).source, pairs({3}, {2}).target), ValueError);
  EXPECT_THROW(model.forward(pairs({3}, {2}).source, pairs({3}, {41}).target), ValueError);
  EXPECT_THROW(model.forward(pairs({3, 3}, {2, 2}).source, pairs({3}, {2}).target), ValueError);
  const std::vector<int32_t> unknown{23};
  const std::vector<std::span<const int32_t>> sequences{unknown};
  EXPECT_THROW(model.encode(RaggedBatch::of(sequences)), IndexError);
  const auto one = random_sentences({3}, 23), two = random_sentences({3, 3}, 23);
  EXPECT_THROW(TranslationBatch::of(spans(one), spans(two), 2), ValueError);
  const std::vector<std::vector<int32_t>> empty(1);
  EXPECT_THROW(TranslationBatch::of(spans(one), spans(empty), 2), ValueError);
}

TEST(TranslationConfig, NamesTheFieldThatIsWrong) {
  const auto refused = [](const std::string& field, const auto& change) {
    TranslationConfig config = small_translation_config();
    change(config);
    try {
      config.validate();
      ADD_FAILURE() << field << " was accepted";
    } catch (const ValueError& error) {
      EXPECT_NE(std::string(error.what()).find(field), std::string::npos) << error.what();
    }
  };
  refused("vocab_size", [](auto& c) { c.vocab_size = 0; });
  refused("encoder_heads", [](auto& c) { c.encoder_heads = 3; });
  refused("decoder_heads", [](auto& c) { c.decoder_heads = 16; });  // one column a head cannot be rotated
  refused("max_tokens", [](auto& c) { c.max_tokens = -1; });
  refused("dropout", [](auto& c) { c.dropout = 1; });
  refused("norm_eps", [](auto& c) { c.norm_eps = 0; });
  refused("initializer_range", [](auto& c) { c.initializer_range = -1; });
  refused("eos_id", [](auto& c) { c.eos_id = 23; });
  refused("relative_buckets", [](auto& c) {
    c.positions = PositionKind::relative;
    c.relative_buckets = 6;
  });
}

// transformers 5.23: T5Attention._relative_position_bucket(torch.arange(-20, 3), False, 8, 12).
TEST(RelativePositions, InOneDirectionKnowOnlyEarlierKeys) {
  const RelativePositionOptions options{.buckets = 8, .max_distance = 12, .both_directions = false};
  const std::vector<int64_t> expected{7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 5, 4, 4, 3, 2, 1, 0, 0, 0};
  for (int64_t i = 0; i < 23; ++i) EXPECT_EQ(relative_position_bucket(i - 20, options), expected[i]) << i - 20;
  EXPECT_THROW(relative_position_bucket(0, {.buckets = 3, .both_directions = false}), ValueError);
  EXPECT_THROW(relative_position_bucket(0, {.buckets = 8, .max_distance = 4, .both_directions = false}), ValueError);
}

}  // namespace
}  // namespace qing::nn
