#include <gtest/gtest.h>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/nn/ragged_batch.h>
#include <qing/optim/classifier/parameter_groups.h>
#include <qing/optim/classifier/starting_model.h>
#include <qing/optim/classifier/train_classifier.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/ops/compare.h>

#include "nn/temp_folder.h"
#include "optim/labelled_things.h"

namespace qing::optim {
namespace {

namespace fs = std::filesystem;

class FineTuning : public ::testing::Test {
 protected:
  FineTuning() {
    for (int i = 0; i < 96; ++i) examples_.push_back({test::labelled_thing(i), i % 3, ""});
    options_ = {.layers = 2, .width = 32, .batch = 16, .vocab = 200, .epochs = 2, .lr = 5e-3};
    base_ = folder_.path() / "base";
    train_classifier(examples_, options_, base_);
    options_.from = base_;
    options_.max_steps = 4;
  }

  nn::StateDict tuned() {
    train_classifier(examples_, options_, folder_.path() / "tuned");
    return nn::load_safetensors(folder_.path() / "tuned" / "model.safetensors").tensors;
  }
  nn::StateDict base() const { return nn::load_safetensors(base_ / "model.safetensors").tensors; }

  static bool of_encoder(const std::string& name) {
    return name.starts_with("bert.embeddings.") || name.starts_with("bert.encoder.");
  }

  qing::test::TempFolder folder_;
  fs::path base_;
  std::vector<nn::Example> examples_;
  TrainOptions options_;
};

TEST_F(FineTuning, BeginsWithTheWeightsOfTheFolder) {
  const StartingModel start = starting_model(examples_, options_);
  EXPECT_EQ(start.config.encoder.hidden_size, 32);
  EXPECT_EQ(start.config.labels, options_.labels);
  EXPECT_EQ(start.weights.count("classifier.weight"), 1U);
  options_.lr = 1e-12;
  options_.weight_decay = 0;
  const nn::StateDict before = base();
  const nn::StateDict after = tuned();
  ASSERT_EQ(before.size(), after.size());
  for (const auto& [name, tensor] : before) EXPECT_TRUE(allclose(after.at(name), tensor, 0, 1e-9)) << name;
}

TEST_F(FineTuning, OtherLabelsGetAHeadOfTheirOwn) {
  options_.labels = {"no", "yes"};
  for (nn::Example& example : examples_) example.label = example.label == 2 ? 1 : 0;
  EXPECT_EQ(starting_model(examples_, options_).weights.count("classifier.weight"), 0U);
  EXPECT_EQ(tuned().at("classifier.weight").size(0), 2);
  EXPECT_EQ(nn::TextClassifier::load(folder_.path() / "tuned")->labels(), options_.labels);
}

TEST_F(FineTuning, HeadOnlyLeavesTheBitsOfTheEncoder) {
  options_.head_only = 1;
  const nn::StateDict before = base(), after = tuned();
  for (const auto& [name, tensor] : before) EXPECT_EQ(identical(after.at(name), tensor), of_encoder(name)) << name;
}

TEST_F(FineTuning, LoraChangesTheLinearLayersOfTheEncoderOnly) {
  options_.lora_rank = 2;
  const nn::StateDict before = base(), after = tuned();
  ASSERT_EQ(before.size(), after.size());
  for (const auto& [name, tensor] : before) {
    const bool frozen = name.starts_with("bert.embeddings.") ||
                        (name.starts_with("bert.encoder.") && (tensor.dim() == 1 || name.find("Norm") != name.npos));
    EXPECT_EQ(identical(after.at(name), tensor), frozen) << name;
  }
  EXPECT_EQ(nn::TextClassifier::load(folder_.path() / "tuned")->predict(std::vector<std::string>{"film good"}).size(),
            1U);
}

TEST_F(FineTuning, GoesOnFromACheckpointWithLora) {
  options_.lora_rank = 2;
  options_.ema = 0.9;
  const nn::StateDict straight = tuned();
  const RunOptions run{.checkpoints = folder_.path() / "checkpoints", .checkpoint_every = 1};
  train_classifier(
      examples_, options_, folder_.path() / "m", [](const Progress& p) { return p.step < 2; }, {}, run);
  const TrainResult result = train_classifier(examples_, options_, folder_.path() / "m", {}, {}, run);
  EXPECT_EQ(result.resumed_from, 2);
  const auto resumed = nn::load_safetensors(folder_.path() / "m" / "model.safetensors").tensors;
  for (const auto& [name, tensor] : straight) EXPECT_TRUE(identical(resumed.at(name), tensor)) << name;
}

TEST_F(FineTuning, CheckpointedLayersGiveTheSameWeights) {
  const nn::StateDict plain = tuned();
  options_.gradient_checkpointing = 1;
  for (const auto& [name, tensor] : tuned()) EXPECT_TRUE(identical(tensor, plain.at(name))) << name;
}

TEST_F(FineTuning, RatesFallFromLayerToLayer) {
  const StartingModel start = starting_model(examples_, options_);
  Generator rng(1);
  nn::EncoderForSequenceClassification model(start.config, rng);
  choose_parameters(model, options_, rng);
  EXPECT_EQ(parameter_groups(model, start.config.encoder, nullptr, options_).size(), 2U);
  options_.layer_decay = 0.5;
  options_.lr = 0.08;
  AdamW optimizer(parameter_groups(model, start.config.encoder, nullptr, options_));
  // After the encoder, layer 1, layer 0, embeddings; matrices and others.
  ASSERT_EQ(optimizer.group_count(), 8U);
  const double rates[] = {0.08, 0.04, 0.02, 0.01};
  for (size_t group = 0; group < 8; ++group) {
    EXPECT_DOUBLE_EQ(optimizer.lr(group), rates[group / 2]);
    EXPECT_EQ(optimizer.options(group).weight_decay, group % 2 == 0 ? 0.01 : 0);
  }
  const auto groups = parameter_groups(model, start.config.encoder, nullptr, options_);
  const auto holds = [&](size_t group, const char* name) {
    for (const Tensor& parameter : groups[group].parameters) {
      if (parameter.same_as(model.get_parameter(name))) return true;
    }
    return false;
  };
  EXPECT_TRUE(holds(0, "classifier.weight"));
  EXPECT_TRUE(holds(1, "bert.pooler.dense.bias"));
  EXPECT_TRUE(holds(2, "bert.encoder.layer.1.attention.self.query.weight"));
  EXPECT_TRUE(holds(4, "bert.encoder.layer.0.output.dense.weight"));
  EXPECT_TRUE(holds(6, "bert.embeddings.word_embeddings.weight"));
  EXPECT_TRUE(holds(7, "bert.embeddings.LayerNorm.bias"));
}

Tensor logits(const StartingModel& start, const std::vector<std::string>& texts) {
  Generator rng(1);
  nn::EncoderForSequenceClassification model(start.config, rng);
  load_starting_weights(model, start);
  std::vector<std::vector<int32_t>> ids;
  for (const std::string& text : texts) ids.push_back(start.tokenizer.encode(text).ids);
  const NoGradGuard guard;
  return model.forward(nn::RaggedBatch::of(std::vector<std::span<const int32_t>>(ids.begin(), ids.end())));
}

TEST_F(FineTuning, APrunedVocabularyGivesTheSameBits) {
  const std::vector<std::string> texts = {"film good 3", "book bad", "lamp plain good 1", "film"};
  examples_.resize(12);
  const StartingModel whole = starting_model(examples_, options_);
  options_.prune_vocab = 1;
  const StartingModel pruned = starting_model(examples_, options_);
  EXPECT_LT(pruned.tokenizer.vocab_size(), whole.tokenizer.vocab_size());
  EXPECT_EQ(pruned.weights.at("bert.embeddings.word_embeddings.weight").size(0), pruned.config.encoder.vocab_size);
  EXPECT_TRUE(identical(logits(pruned, texts), logits(whole, texts)));
  EXPECT_EQ(tuned().at("bert.embeddings.word_embeddings.weight").size(0), pruned.tokenizer.vocab_size());
}

TEST_F(FineTuning, ReadsWhatOtherClassesOfBertSaved) {
  nn::SafetensorsFile file;
  for (auto& [name, tensor] : base()) {
    if (name.starts_with("classifier.") || name.find("pooler") != name.npos) continue;
    std::string other = name.substr(5);
    if (const size_t at = other.find("LayerNorm.weight"); at != other.npos) other.replace(at, 16, "LayerNorm.gamma");
    if (const size_t at = other.find("LayerNorm.bias"); at != other.npos) other.replace(at, 14, "LayerNorm.beta");
    file.tensors.emplace(other, tensor);
  }
  file.tensors.emplace("cls.predictions.bias", Tensor::zeros({3}));
  nn::save_safetensors(base_ / "model.safetensors", file);
  Generator rng(1);
  const StartingModel start = starting_model(examples_, options_);
  nn::EncoderForSequenceClassification model(start.config, rng);
  load_starting_weights(model, start);
  EXPECT_TRUE(identical(model.get_parameter("bert.embeddings.LayerNorm.weight"),
                        file.tensors.at("embeddings.LayerNorm.gamma")));
}

TEST_F(FineTuning, RefusesWhatDoesNotFit) {
  const auto refusal = [&](const TrainOptions& options) {
    return qing::test::message_of<ValueError>([&] { train_classifier(examples_, options, folder_.path() / "m"); });
  };
  EXPECT_NE(refusal({.lora_rank = 2}).find("lora_rank needs a model to fine-tune"), std::string::npos);
  EXPECT_NE(refusal({.prune_vocab = 1}).find("prune_vocab needs a model"), std::string::npos);
  TrainOptions both = options_;
  both.head_only = 1;
  both.lora_rank = 2;
  EXPECT_NE(refusal(both).find("exclude each other"), std::string::npos);
  nn::SafetensorsFile file{.tensors = base(), .metadata = {}};
  file.tensors.erase("bert.encoder.layer.0.attention.self.query.weight");
  nn::save_safetensors(base_ / "model.safetensors", file);
  EXPECT_NE(qing::test::message_of<DataError>([&] {
              tuned();
            }).find("missing bert.encoder.layer.0.attention.self.query.weight"),
            std::string::npos);
  file.tensors.erase("bert.embeddings.word_embeddings.weight");
  nn::save_safetensors(base_ / "model.safetensors", file);
  EXPECT_NE(qing::test::message_of<DataError>([&] { tuned(); }).find("missing bert.embeddings.word_embeddings.weight"),
            std::string::npos);
}

}  // namespace
}  // namespace qing::optim
