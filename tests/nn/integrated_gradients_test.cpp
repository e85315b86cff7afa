#include <qing/nn/models/integrated_gradients.h>

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/nn/models/text_classifier_files.h>
#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

constexpr double kTemperature = 1.5;

ClassifierConfig config() {
  ClassifierConfig config{.encoder = {.vocab_size = 31,
                                      .hidden_size = 32,
                                      .num_hidden_layers = 2,
                                      .num_attention_heads = 4,
                                      .intermediate_size = 64,
                                      .max_position_embeddings = 32,
                                      .initializer_range = 0.3}};
  config.calibration_temperature = kTemperature;
  return config;
}

Tokenizer letters() {
  std::vector<std::string> pieces(std::begin(kSpecialTokens), std::end(kSpecialTokens));
  for (char c = 'a'; c <= 'z'; ++c) pieces.push_back(std::string(1, c));
  return Tokenizer(pieces, {.max_length = 16});
}

double sum(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

class IntegratedGradients : public ::testing::Test {
 protected:
  IntegratedGradients() : model(config(), rng) { model.eval(); }
  double probability(const std::vector<int32_t>& ids, int32_t label) const {
    const NoGradGuard guard;
    const std::span<const int32_t> sequence(ids);
    return softmax(model.forward(RaggedBatch::of({&sequence, 1})) * (1 / kTemperature)).data<float>()[label];
  }
  Generator rng{7};
  EncoderForSequenceClassification model;
  Tokenizer tokenizer = letters();
  std::vector<Encoding> encodings{tokenizer.encode("a b c d"), tokenizer.encode("q"), tokenizer.encode("x y z x y z x"),
                                  tokenizer.encode("")};
  std::vector<int32_t> labels{0, 2, 1, 1};
};

TEST_F(IntegratedGradients, SumsToTheScoreDifference) {
  const auto attributions = integrated_gradients(model, encodings, labels, tokenizer.pad_id(), {}, {.tolerance = 1e-4});
  ASSERT_EQ(attributions.size(), encodings.size());
  for (size_t i = 0; i < attributions.size(); ++i) {
    const Attribution& a = attributions[i];
    std::vector<int32_t> baseline(encodings[i].ids.size(), tokenizer.pad_id());
    baseline.front() = tokenizer.cls_id();
    baseline.back() = tokenizer.sep_id();
    EXPECT_NEAR(a.score, probability(encodings[i].ids, labels[i]), 1e-6);
    EXPECT_NEAR(a.baseline, probability(baseline, labels[i]), 1e-6);
    EXPECT_NEAR(sum(a.weights), a.score - a.baseline, 1e-4) << i;
    EXPECT_LE(a.gap, 1e-4);
    EXPECT_EQ(a.weights.front(), 0);
    EXPECT_EQ(a.weights.back(), 0);
  }
  EXPECT_GT(std::abs(attributions[0].score - attributions[0].baseline), 1e-3) << "nothing to explain";
}

TEST_F(IntegratedGradients, EqualsAFineRiemannSum) {
  // The definition, step by step, for the first text: gradient at many points times (words - baseline).
  const std::vector<int32_t> ids = encodings[0].ids;
  std::vector<int32_t> base_ids(ids.size(), tokenizer.pad_id());
  base_ids.front() = ids.front();
  base_ids.back() = ids.back();
  const auto n = static_cast<int64_t>(ids.size());
  const Tensor words = model.word_embeddings(Tensor::from<int32_t>(ids, {n}));
  const Tensor base = model.word_embeddings(Tensor::from<int32_t>(base_ids, {n}));
  const std::span<const int32_t> sequence(ids);
  const RaggedBatch batch = RaggedBatch::of({&sequence, 1});
  std::vector<double> expected(ids.size(), 0);
  constexpr int kSteps = 400;
  for (int step = 0; step < kSteps; ++step) {
    Tensor x = detach(base + (words - base) * ((step + 0.5) / kSteps));
    set_requires_grad(x);
    const Tensor p =
        select(select(softmax(model.forward_embeddings(x, batch) * (1 / kTemperature)), 0, 0), 0, labels[0]);
    const Tensor part = sum(gradients(p, {x}).front() * detach(words - base), {1});
    for (size_t t = 0; t < ids.size(); ++t) expected[t] += part.data<float>()[t] / kSteps;
  }
  const auto got = integrated_gradients(model, encodings, labels, tokenizer.pad_id(), {}, {.tolerance = 1e-5}).front();
  for (size_t t = 0; t < ids.size(); ++t) EXPECT_NEAR(got.weights[t], expected[t], 2e-5) << t;
}

TEST_F(IntegratedGradients, DoesNotDependOnItsNeighbours) {
  const auto together = integrated_gradients(model, encodings, labels, tokenizer.pad_id());
  for (size_t i = 0; i < encodings.size(); ++i) {
    for (const int64_t tokens : {1, 40}) {
      const auto alone =
          integrated_gradients(model, std::span(encodings).subspan(i, 1), std::span(labels).subspan(i, 1),
                               tokenizer.pad_id(), {}, {.batch_tokens = tokens});
      EXPECT_EQ(alone.front().weights, together[i].weights);
      EXPECT_EQ(alone.front().steps, together[i].steps);
    }
  }
}

TEST_F(IntegratedGradients, LeavesNoGradientsAndTakesMoreStepsWhenAsked) {
  const auto coarse = integrated_gradients(model, encodings, labels, 0, {}, {.first_steps = 1, .most_steps = 1});
  const auto fine = integrated_gradients(model, encodings, labels, 0, {}, {.tolerance = 1e-5, .first_steps = 1});
  EXPECT_GT(fine[0].steps, 1);
  EXPECT_LT(fine[0].gap, coarse[0].gap);
  for (const auto& [name, parameter] : model.named_parameters()) EXPECT_FALSE(grad(parameter).defined()) << name;
}

TEST_F(IntegratedGradients, RefusesWhatDoesNotFit) {
  EXPECT_THROW(integrated_gradients(model, encodings, std::span(labels).first(1), 0), ValueError);
  EXPECT_THROW(integrated_gradients(model, encodings, labels, 0, {}, {.tolerance = 0}), ValueError);
  EXPECT_THROW(integrated_gradients(model, encodings, labels, 0, {}, {.first_steps = 9, .most_steps = 8}), ValueError);
  labels[1] = 3;
  EXPECT_THROW(integrated_gradients(model, encodings, labels, 0), IndexError);
  EXPECT_TRUE(integrated_gradients(model, {}, {}, 0).empty());
}

TEST_F(IntegratedGradients, ExplainsSpansOfTheText) {
  const test::TempFolder folder;
  save_text_classifier(folder.path(), model, tokenizer);
  const auto classifier = TextClassifier::load(folder.path());
  const std::vector<std::string> texts = {"A  b\xc3\xa9, 情c", ""};
  const auto explanations = classifier->explain(texts);
  const auto predictions = classifier->predict(texts);
  ASSERT_EQ(explanations.size(), 2U);
  std::vector<std::string> pieces;
  double total = 0;
  for (const auto& span : explanations[0].spans) {
    pieces.push_back(texts[0].substr(span.begin, span.end - span.begin));
    total += span.weight;
  }
  EXPECT_EQ(pieces, (std::vector<std::string>{"A", "b\xc3\xa9", ",", "情", "c"}));
  EXPECT_EQ(explanations[0].label, predictions[0].label);
  EXPECT_NEAR(explanations[0].score, predictions[0].scores[predictions[0].label], 1e-6);
  EXPECT_NEAR(total, explanations[0].score - explanations[0].baseline, 1e-3);
  EXPECT_TRUE(explanations[1].spans.empty());
  EXPECT_THROW(classifier->explain(std::vector<std::string>{"\xff"}), DataError);
}

// Words after the tokens that the encoder reads count by their n-grams, and each has its own span.
TEST_F(IntegratedGradients, ExplainsWhatNgramsAdd) {
  const test::TempFolder folder;
  const std::vector<std::string> texts = {"a b\xc3\xa9 情c", "q", "a b c d e f g h i j k l m n o p q r s t u v"};
  NgramHead head(NgramTable::build(texts, tokenizer.options(), 1), 3);
  Tensor weight = head.get_parameter("weight");
  rng.fill_normal(weight, 0, 1);
  save_text_classifier(folder.path(), model, tokenizer, &head);
  const auto with = TextClassifier::load(folder.path());
  save_text_classifier(folder.path(), model, tokenizer);
  const auto without = TextClassifier::load(folder.path())->explain(texts);
  const auto explanations = with->explain(texts);
  const auto predictions = with->predict(texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    double total = 0;
    uint32_t end = 0;
    for (const auto& span : explanations[i].spans) {
      EXPECT_LE(end, span.begin);
      end = span.end;
      total += span.weight;
    }
    EXPECT_LE(end, texts[i].size());
    EXPECT_NEAR(explanations[i].score, predictions[i].scores[predictions[i].label], 1e-6);
    EXPECT_NEAR(total, explanations[i].score - explanations[i].baseline, 1e-3) << i;
    EXPECT_NE(explanations[i].spans[0].weight, without[i].spans[0].weight);
  }
  // The encoder reads 14 of the 22 letters.
  ASSERT_TRUE(predictions[2].truncated);
  ASSERT_EQ(explanations[2].spans.size(), 22U);
  EXPECT_EQ(without[2].spans.size(), 14U);
  for (uint32_t i = 0; i < 22; ++i) {
    EXPECT_EQ(explanations[2].spans[i].begin, 2 * i);
    EXPECT_EQ(explanations[2].spans[i].end, 2 * i + 1);
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto size = static_cast<uint32_t>(texts[i].size());
    EXPECT_EQ(explanations[i].encoder_end, i == 2 ? 27 : size);
    EXPECT_EQ(explanations[i].ngram_end, size);
    EXPECT_EQ(without[i].encoder_end, i == 2 ? 27 : size);
    EXPECT_EQ(without[i].ngram_end, 0U);
  }
}

// With only one-word n-grams, the weight of a word is the value of its n-gram times its weights times the slopes.
TEST_F(IntegratedGradients, WeighsUnreadWordsByTheirOwnNgrams) {
  const test::TempFolder folder;
  const std::string text = "a b c d e f g h i j k l m n o p q r s t u v";
  // Each text has one letter: there are no n-grams of several words.
  std::vector<std::string> letters;
  for (char c = 'a'; c <= 'v'; ++c) letters.emplace_back(1, c);
  NgramHead head(NgramTable::build(letters, tokenizer.options(), 1), 3);
  Tensor weight = head.get_parameter("weight");
  for (const NgramOccurrence& ngram : head.table().occurrences("v")) weight.data<float>()[3 * ngram.row] = 2;
  save_text_classifier(folder.path(), model, tokenizer, &head);
  const auto explanation = TextClassifier::load(folder.path())->explain(std::span(&text, 1)).front();
  ASSERT_EQ(explanation.spans.size(), 22U);
  for (size_t i = 14; i < 21; ++i) EXPECT_EQ(explanation.spans[i].weight, 0) << i;
  EXPECT_GT(std::abs(explanation.spans[21].weight), 1e-3);
}

// If the encoder read a word in part, the rest of the word is a span. N-grams across the border are divided by bytes.
TEST_F(IntegratedGradients, SplitsAWordWhereTheEncoderEnds) {
  const test::TempFolder folder;
  const std::string text = "a b c d e f g h i j k l m abbb";
  std::vector<std::string> pieces(std::begin(kSpecialTokens), std::end(kSpecialTokens));
  for (char c = 'a'; c <= 'y'; ++c) pieces.emplace_back(1, c);
  pieces.emplace_back("##b");
  const Tokenizer spelling(pieces, {.max_length = 16});
  NgramHead head(NgramTable::build(std::span(&text, 1), spelling.options(), 1), 3);
  Tensor weight = head.get_parameter("weight");
  rng.fill_normal(weight, 0, 1);
  save_text_classifier(folder.path(), model, spelling, &head);
  const auto explanation = TextClassifier::load(folder.path())->explain(std::span(&text, 1)).front();
  const size_t word = text.find("abbb");
  EXPECT_EQ(explanation.encoder_end, word + 1);
  EXPECT_EQ(explanation.spans.back().begin, word + 1);
  EXPECT_EQ(explanation.spans.back().end, text.size());
  EXPECT_NE(explanation.spans.back().weight, 0);
  double total = 0;
  for (const auto& span : explanation.spans) total += span.weight;
  EXPECT_NEAR(total, explanation.score - explanation.baseline, explanation.gap + 1e-5);
}

}  // namespace
}  // namespace qing::nn
