// Encoders of every family. Equality with transformers is for tests/python/test_encoder_families.py.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/models/encoder_heads.h>
#include <qing/nn/models/parameter_names.h>
#include <qing/nn/models/text_classifier_files.h>
#include <qing/tensor/ops/compare.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;
using test::TempFolder;

EncoderConfig small(EncoderFamily family) {
  EncoderConfig config{.family = family,
                       .vocab_size = 31,
                       .hidden_size = 16,
                       .num_hidden_layers = 3,
                       .num_attention_heads = 2,
                       .intermediate_size = 20,
                       .max_position_embeddings = 24,
                       .initializer_range = 0.3,
                       .pad_token_id = 1};
  if (family == EncoderFamily::electra || family == EncoderFamily::albert) config.embedding_size = 8;
  if (family == EncoderFamily::albert) config.num_hidden_groups = 2;
  return config;
}

const std::vector<std::vector<int32_t>> kTexts = {{2, 5, 7, 3}, {2, 3}, {2, 9, 9, 8, 30, 4, 11, 3}};

RaggedBatch batch_of(const std::vector<std::vector<int32_t>>& texts) {
  const std::vector<std::span<const int32_t>> sequences(texts.begin(), texts.end());
  return RaggedBatch::of(sequences);
}

class EncoderFamilies : public ::testing::TestWithParam<EncoderFamily> {
 protected:
  Generator rng_{5};
  EncoderConfig config_ = small(GetParam());
};

TEST_P(EncoderFamilies, ASequenceDependsOnItselfAlone) {
  const EncoderForSequenceClassification model({.encoder = config_}, rng_);
  const Tensor together = model.forward(batch_of(kTexts));
  ASSERT_EQ(together.shape(), (Shape{3, 3}));
  for (size_t i = 0; i < kTexts.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    EXPECT_TRUE(identical(model.forward(batch_of({kTexts[i]})), together.slice(0, at, at + 1).contiguous())) << i;
  }
}

TEST_P(EncoderFamilies, FirstTokensAreThoseOfAllTokens) {
  Encoder encoder(config_, rng_, false);
  encoder.to(DType::f64);
  const RaggedBatch batch = batch_of(kTexts);
  const Tensor all = encoder.forward(batch);
  EXPECT_TRUE(allclose(encoder.forward_firsts(batch), index_select(all, 0, batch.firsts), 1e-12, 1e-12));
  EXPECT_TRUE(identical(encoder.forward_firsts(embedding(encoder.word_embeddings(), batch.ids), batch),
                        encoder.forward_firsts(batch)));
  EXPECT_THROW(encoder.pooler(), ValueError);
}

TEST_P(EncoderFamilies, EveryParameterOfAHeadLearns) {
  EncoderForSequenceClassification classifier({.encoder = config_}, rng_);
  EncoderForMaskedLM masked(config_, rng_);
  const auto expect_gradients = [&](Module& model, const auto& forward) {
    model.unfreeze();
    model.train();
    backward(sum(forward() * forward()));
    for (const auto& [name, parameter] : model.named_parameters()) {
      EXPECT_TRUE(grad(parameter).defined() && grad(parameter).shape() == parameter.shape()) << name;
    }
  };
  expect_gradients(classifier, [&] { return classifier.forward(batch_of(kTexts), &rng_); });
  expect_gradients(masked, [&] { return masked.forward(batch_of(kTexts), &rng_); });
  EXPECT_THROW(classifier.forward(batch_of(kTexts)), ValueError);
}

TEST_P(EncoderFamilies, AConfigurationIsReadAsItWasWritten) {
  TempFolder folder;
  const auto path = folder.path() / "config.json";
  config_.hidden_act = FeedForwardActivation::silu;
  config_.classifier_dropout = 0.25;
  config_.tie_word_embeddings = false;
  ClassifierConfig{.encoder = config_, .labels = {"a", "b"}}.save(path);
  const std::string written = test::content_of(path);
  const ClassifierConfig read = ClassifierConfig::load(path);
  EXPECT_EQ(read.encoder.family, config_.family);
  EXPECT_EQ(read.encoder.embedding_width(), config_.embedding_width());
  EXPECT_EQ(read.encoder.num_hidden_groups, config_.num_hidden_groups);
  EXPECT_EQ(read.encoder.classifier_dropout, 0.25);
  EXPECT_FALSE(read.encoder.tie_word_embeddings);
  read.save(path);
  EXPECT_EQ(test::content_of(path), written);
  EXPECT_EQ(EncoderConfig::load(path).hidden_act, FeedForwardActivation::silu);
}

TEST_P(EncoderFamilies, ATextMayFillThePositions) {
  const Encoder encoder(config_, rng_, false);
  std::vector<int32_t> text(static_cast<size_t>(config_.max_tokens()), 7);
  EXPECT_NO_THROW(encoder.forward(batch_of({text})));
  text.push_back(7);
  EXPECT_THROW(encoder.forward(batch_of({text})), IndexError);
}

TEST_P(EncoderFamilies, ParametersAreSavedUnderTheFamilysNames) {
  TempFolder folder;
  EncoderForSequenceClassification model({.encoder = config_}, rng_);
  std::vector<std::string> pieces(std::begin(kSpecialTokens), std::end(kSpecialTokens));
  save_text_classifier(folder.path() / "m", model, Tokenizer(pieces));
  const ClassifierParts read = load_classifier_parts(folder.path() / "m");
  const StateDict before = model.state_dict(), after = read.model->state_dict();
  ASSERT_EQ(before.size(), after.size());
  for (const auto& [name, tensor] : before) {
    EXPECT_TRUE(identical(after.at(name), tensor)) << name;
    EXPECT_EQ(parameter_name(config_, stored_parameter_name(config_, name)), name);
  }
}

INSTANTIATE_TEST_SUITE_P(All, EncoderFamilies,
                         ::testing::Values(EncoderFamily::bert, EncoderFamily::distilbert, EncoderFamily::roberta,
                                           EncoderFamily::xlm_roberta, EncoderFamily::electra, EncoderFamily::albert,
                                           EncoderFamily::mpnet),
                         [](const auto& info) { return std::string(names_of(info.param).class_prefix); });

TEST(EncoderConfigs, NameTheFieldThatIsWrong) {
  const auto why = [](const auto& change) {
    EncoderConfig config = small(EncoderFamily::bert);
    change(config);
    return message_of<ValueError>([&] { config.validate(); });
  };
  EXPECT_EQ(why([](auto& c) { c.embedding_size = 8; }).find("embedding_size"), 0U);
  EXPECT_EQ(why([](auto& c) { c.inner_group_num = 2; }).find("num_hidden_groups"), 0U);
  EXPECT_EQ(why([](auto& c) { c.classifier_dropout = 1.5; }).find("classifier_dropout"), 0U);
  EXPECT_EQ(why([](auto& c) {
              c.family = EncoderFamily::albert;
              c.num_hidden_groups = 4;
            }).find("num_hidden_groups"),
            0U);
  EXPECT_EQ(why([](auto& c) {
              c.family = EncoderFamily::mpnet;
              c.relative_attention_num_buckets = 31;
            }).find("relative_attention_num_buckets"),
            0U);
  for (const int64_t padding : {-2, 23, 400}) {
    EXPECT_EQ(why([&](auto& c) {
                c.family = EncoderFamily::roberta;
                c.pad_token_id = padding;
              }).find("max_position_embeddings"),
              0U)
        << padding;
  }
}

TEST(ParameterNames, OfEachFamilyBecomeBerts) {
  const auto name = [](EncoderFamily family, std::string_view given) {
    EncoderConfig config = small(family);
    config.inner_group_num = family == EncoderFamily::albert ? 2 : 1;
    return parameter_name(config, given);
  };
  using enum EncoderFamily;
  EXPECT_EQ(name(bert, "bert.encoder.layer.0.output.LayerNorm.gamma"), "bert.encoder.layer.0.output.LayerNorm.weight");
  EXPECT_EQ(name(bert, "embeddings.LayerNorm.beta"), "bert.embeddings.LayerNorm.bias");
  EXPECT_EQ(name(bert, "classifier.weight"), "classifier.weight");
  EXPECT_EQ(name(bert, "bert.embeddings.position_ids"), "");
  EXPECT_EQ(name(distilbert, "distilbert.transformer.layer.2.attention.out_lin.bias"),
            "bert.encoder.layer.2.attention.output.dense.bias");
  EXPECT_EQ(name(distilbert, "transformer.layer.2.output_layer_norm.bias"),
            "bert.encoder.layer.2.output.LayerNorm.bias");
  EXPECT_EQ(name(distilbert, "pre_classifier.weight"), "bert.pooler.dense.weight");
  EXPECT_EQ(name(roberta, "classifier.out_proj.bias"), "classifier.bias");
  EXPECT_EQ(name(roberta, "classifier.bias"), "classifier.bias");
  EXPECT_EQ(name(roberta, "roberta.pooler.dense.weight"), "");  // or it would be taken for the head's
  EXPECT_EQ(name(xlm_roberta, "lm_head.layer_norm.weight"), "cls.predictions.transform.LayerNorm.weight");
  EXPECT_EQ(name(electra, "electra.embeddings_project.weight"), "bert.embeddings_project.weight");
  EXPECT_EQ(name(electra, "generator_lm_head.bias"), "cls.predictions.bias");
  EXPECT_EQ(name(albert, "albert.encoder.albert_layer_groups.1.albert_layers.0.ffn_output.weight"),
            "bert.encoder.layer.2.output.dense.weight");
  EXPECT_EQ(name(albert, "albert.encoder.albert_layer_groups.0.albert_layers.1.attention.LayerNorm.bias"),
            "bert.encoder.layer.1.attention.output.LayerNorm.bias");
  // Would be the name of another group's layer.
  EXPECT_EQ(name(albert, "albert.encoder.albert_layer_groups.0.albert_layers.2.ffn.bias"),
            "bert.encoder.albert_layer_groups.0.albert_layers.2.ffn.bias");
  EXPECT_EQ(name(albert, "albert.pooler.bias"), "bert.pooler.dense.bias");
  EXPECT_EQ(name(mpnet, "mpnet.encoder.layer.0.attention.attn.o.weight"),
            "bert.encoder.layer.0.attention.output.dense.weight");
  EXPECT_EQ(name(mpnet, "encoder.relative_attention_bias.weight"), "bert.encoder.relative_attention_bias.weight");
}

}  // namespace
}  // namespace qing::nn
