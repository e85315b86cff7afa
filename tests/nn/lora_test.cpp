#include <gtest/gtest.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/models/encoder_heads.h>
#include <qing/tensor/allocator.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/random.h>

namespace qing::nn {
namespace {

ClassifierConfig small() {
  ClassifierConfig classifier;
  EncoderConfig& config = classifier.encoder;
  config.vocab_size = 50;
  config.hidden_size = 32;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 2;
  config.intermediate_size = 64;
  config.max_position_embeddings = 16;
  return classifier;
}

RaggedBatch batch() {
  static const std::vector<std::vector<int32_t>> kIds = {{2, 7, 9, 3}, {2, 3}, {2, 11, 12, 13, 14, 15, 49, 3}};
  return RaggedBatch::of(std::vector<std::span<const int32_t>>(kIds.begin(), kIds.end()));
}

// A model with LoRA whose change is not zero.
void adapt(EncoderForSequenceClassification& model) {
  Generator rng(7);
  add_lora(model.get_submodule("bert.encoder"), 4, 8, rng);
  const NoGradGuard guard;
  for (auto& [name, parameter] : model.named_parameters()) {
    if (name.ends_with("lora.B")) rng.fill_normal(parameter, 0, 0.2);
  }
}

TEST(Lora, BeginsWithoutAChange) {
  Generator rng(1), other(2);
  Linear linear(5, 3, rng);
  Tensor x = Tensor::empty({4, 5});
  rng.fill_normal(x, 0, 1);
  const Tensor before = linear(x);
  linear.add_lora(2, 16, other);
  EXPECT_TRUE(equal(detach(linear(x)), before));
  EXPECT_THROW(linear.add_lora(2, 16, other), ValueError);
  EXPECT_THROW(Linear(5, 3, rng).add_lora(0, 16, other), ValueError);
}

TEST(Lora, MergedWeightsGiveTheLogitsOfUnmergedOnes) {
  Generator rng(3);
  EncoderForSequenceClassification model(small(), rng);
  const NoGradGuard guard;
  const Tensor plain = model.forward(batch());
  const StateDict names = model.state_dict();
  adapt(model);
  const Tensor adapted = model.forward(batch());
  EXPECT_GT(max(abs(adapted - plain)).item(), 1e-3);
  const Tensor weight = model.get_parameter("bert.encoder.layer.0.attention.self.query.weight");
  {
    const MergedLora merged(model);
    EXPECT_LT(max(abs(model.forward(batch()) - adapted)).item(), 1e-5);
    const StateDict state = model.state_dict();
    ASSERT_EQ(state.size(), names.size());
    for (const auto& [name, tensor] : names) EXPECT_EQ(state.count(name), 1U) << name;
  }
  EXPECT_TRUE(identical(model.forward(batch()), adapted));
  EXPECT_TRUE(model.get_parameter("bert.encoder.layer.0.attention.self.query.weight").same_as(weight));
}

TEST(Lora, OnlyItsParametersGetGradients) {
  Generator rng(3);
  EncoderForSequenceClassification model(small(), rng);
  model.set_requires_grad(true);
  adapt(model);
  backward(sum(square(model.forward(batch()))));
  int lora = 0;
  for (const auto& [name, parameter] : model.named_parameters()) {
    if (name.find(".lora.") != name.npos) {
      ++lora;
      EXPECT_TRUE(grad(parameter).defined()) << name;
      EXPECT_GT(max(abs(grad(parameter))).item(), 0) << name;
    } else if (name.starts_with("bert.encoder.") && name.find("LayerNorm") == name.npos) {
      EXPECT_FALSE(grad(parameter).defined()) << name;
    }
  }
  EXPECT_EQ(lora, 3 * 6 * 2);  // A and B of query, key, value, and the three dense layers
}

// Gradients of all parameters after a training step with dropout, and the most memory that it took.
std::pair<std::vector<Tensor>, size_t> gradients_of(EncoderForSequenceClassification& model, bool checkpoint) {
  model.checkpoint_layers(checkpoint);
  model.zero_grad();
  std::vector<int32_t> ids(16 * 16, 9);
  std::vector<std::span<const int32_t>> sequences;
  for (size_t i = 0; i < 16; ++i) sequences.emplace_back(ids.data() + 16 * i, 16);
  Generator rng(11);
  release_cached_memory();
  reset_peak_memory();
  const size_t before = memory_stats().current_bytes;
  backward(sum(square(model.forward(RaggedBatch::of(sequences), &rng))));
  const size_t most = memory_stats().peak_bytes - before;
  std::vector<Tensor> gradients;
  for (const Tensor& parameter : model.parameters()) {
    gradients.push_back(grad(parameter).defined() ? grad(parameter).clone() : Tensor());
  }
  return {gradients, most};
}

TEST(CheckpointedLayers, GiveTheSameGradientsForLessMemory) {
  ClassifierConfig config = small();
  config.encoder.num_hidden_layers = 8;
  for (const bool lora : {false, true}) {
    Generator rng(3);
    EncoderForSequenceClassification model(config, rng);
    model.train();
    if (lora) {
      adapt(model);  // the embeddings have no gradients then
    } else {
      model.set_requires_grad(true);
    }
    const auto [plain, plain_bytes] = gradients_of(model, false);
    const auto [again, bytes] = gradients_of(model, true);
    ASSERT_EQ(plain.size(), again.size());
    for (size_t i = 0; i < plain.size(); ++i) {
      ASSERT_EQ(plain[i].defined(), again[i].defined()) << i;
      if (plain[i].defined()) { EXPECT_TRUE(identical(plain[i], again[i])) << i; }
    }
    EXPECT_LT(bytes, plain_bytes * 2 / 3) << lora;
  }
}

}  // namespace
}  // namespace qing::nn
