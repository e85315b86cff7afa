#include <qing/optim/translation/train_translation.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/nn/data/batch_sampler.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/models/translation_decoder.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/threads.h>

#include "nn/temp_folder.h"

namespace qing::optim {
namespace {

using test::message_of;

class TrainTranslation : public ::testing::Test {
 protected:
  TrainTranslation() {
    const std::pair<const char*, const char*> things[] = {{"film", "电影"}, {"lamp", "灯"}, {"book", "书"}};
    const std::pair<const char*, const char*> acts[] = {
        {"open the", "打开"}, {"close the", "关闭"}, {"sell the", "卖"}};
    for (const auto& [thing, object] : things) {
      for (const auto& [act, verb] : acts) {
        for (const auto& [end, mark] : {std::pair("now", "现在"), {"today", "今天"}}) {
          const std::string english = std::string(act) + " " + thing + " " + end;
          const std::string chinese = std::string(mark) + verb + object;
          pairs_.push_back({english, chinese, "en", "zh"});
          pairs_.push_back({chinese, english, "zh", "en"});
        }
      }
    }
    options_ = {.layers = 1,
                .width = 32,
                .batch_tokens = 120,
                .vocab = 300,
                .epochs = 2,
                .max_length = 40,
                .lr = 5e-3,
                .dropout = 0.1,
                .label_smoothing = 0.1};
  }
  nn::StateDict weights(const char* name) const {
    return nn::load_safetensors(folder_.path() / name / "model.safetensors").tensors;
  }
  void train(const char* name, const RunOptions& run = {}) const {
    train_translation(pairs_, options_, folder_.path() / name, {}, {}, run);
  }
  void expect_same(const char* a, const char* b) const {
    const nn::StateDict first = weights(a), second = weights(b);
    ASSERT_EQ(first.size(), second.size());
    for (const auto& [tensor, value] : first) EXPECT_TRUE(identical(value, second.at(tensor))) << tensor;
  }

  qing::test::TempFolder folder_;
  std::vector<TranslationPair> pairs_;
  TrainOptions options_;
};

TEST_F(TrainTranslation, PairsAreEncodedWithTheirLanguage) {
  const nn::Tokenizer tokenizer = new_translation_tokenizer(pairs_, options_);
  EXPECT_EQ(language_tokens(pairs_), (std::vector<std::string>{">>en<<", ">>zh<<"}));
  const TranslationExamples encoded = encode_pairs(pairs_, tokenizer);
  ASSERT_EQ(encoded.examples.size(), pairs_.size());
  const TranslationExample& first = encoded.examples[0];
  EXPECT_EQ(tokenizer.token(first.source.front()), ">>zh<<");
  EXPECT_EQ(first.source.back(), tokenizer.sep_id());
  EXPECT_EQ(first.target.back(), tokenizer.sep_id());
  EXPECT_EQ(tokenizer.decode(first.source), pairs_[0].source);
  EXPECT_EQ(tokenizer.decode(first.target), pairs_[0].target);
  // A pair of one target language needs no token, and a text that is too long is left out, not cut.
  const std::vector<TranslationPair> one = {pairs_[0], {std::string(500, 'x'), "y", "en", "zh"}};
  EXPECT_TRUE(language_tokens(one).empty());
  const nn::Tokenizer plain = new_translation_tokenizer(std::vector<TranslationPair>{pairs_[0]}, options_);
  const TranslationExamples short_one = encode_pairs(one, plain);
  ASSERT_EQ(short_one.examples.size(), 1U);
  EXPECT_EQ(short_one.too_long, 1U);
  EXPECT_EQ(plain.decode(short_one.examples[0].source, false), pairs_[0].source + "[SEP]");
  EXPECT_THROW(encode_pairs(pairs_, plain), ValueError);
  EXPECT_THROW(encode_pairs(std::vector<TranslationPair>{{"\xff", "a", "en", "zh"}}, tokenizer), DataError);
}

TEST_F(TrainTranslation, PairsThatAreTooLongAreCounted) {
  options_.max_steps = 1;
  EXPECT_EQ(train_translation(pairs_, options_, folder_.path() / "all").left_out, 0);
  std::vector<TranslationPair> more(pairs_.begin(), pairs_.end());
  std::string long_text;
  for (int i = 0; i < 500; ++i) long_text += fmt::format("{} ", i);
  more.push_back({long_text, "y", "en", "zh"});
  EXPECT_EQ(train_translation(more, options_, folder_.path() / "more").left_out, 1);
}

TEST_F(TrainTranslation, PartsOfABatchAreItsPairs) {
  const nn::Tokenizer tokenizer = new_translation_tokenizer(pairs_, options_);
  const std::vector<TranslationExample> all = encode_pairs(pairs_, tokenizer).examples;
  const TranslationCollate collate(tokenizer.cls_id());
  const nn::TranslationBatch batch = collate({all.begin(), all.begin() + 5});
  const nn::TranslationBatch part = part_of(batch, 1, 4), alone = collate({all.begin() + 1, all.begin() + 4});
  EXPECT_TRUE(identical(part.source.ids, alone.source.ids));
  EXPECT_TRUE(identical(part.target.ids, alone.target.ids));
  EXPECT_TRUE(identical(part.labels, alone.labels));
}

TEST_F(TrainTranslation, LearnsToTranslateBothWays) {
  options_.epochs = 60;
  options_.dropout = 0;
  options_.width = 64;
  std::vector<double> losses;
  train_translation(pairs_, options_, folder_.path() / "m",
                    [&](const Progress& now) { return losses.push_back(now.step_loss), true; });
  EXPECT_LT(losses.back(), 0.5 * losses.front());
  const nn::TranslationFolder model = nn::load_translation_model(folder_.path() / "m");
  EXPECT_EQ(model.directions, (std::vector<nn::TranslationDirection>{{"en", "zh"}, {"zh", "en"}}));
  EXPECT_LT(translation_loss(model, pairs_).loss, 0.5);
  int right = 0;
  std::vector<nn::DecodingRequest> requests;
  for (const TranslationExample& example : encode_pairs(pairs_, model.tokenizer).examples) {
    requests.push_back({.source = example.source, .options = {.max_tokens = 40}});
  }
  const std::vector<nn::DecodingResult> results = nn::decode(*model.model, requests);
  for (size_t i = 0; i < pairs_.size(); ++i) {
    right += model.tokenizer.decode(results[i].sequences[0].tokens) == pairs_[i].target ? 1 : 0;
  }
  EXPECT_GT(right, 30) << "of " << pairs_.size();
}

TEST_F(TrainTranslation, BitsDoNotDependOnThreads) {
  train("one");
  const int threads = num_threads();
  set_num_threads(threads == 1 ? 3 : 1);
  train("other");
  set_num_threads(threads);
  expect_same("one", "other");
}

TEST_F(TrainTranslation, AResumedTrainingEndsWithTheSameBits) {
  options_.ema = 0.9;
  train("whole");
  RunOptions run{.checkpoints = folder_.path() / "checkpoints", .checkpoint_every = 3};
  int64_t steps = 0;
  train_translation(
      pairs_, options_, folder_.path() / "resumed", [&](const Progress&) { return ++steps < 5; }, {}, run);
  const TrainResult result = train_translation(pairs_, options_, folder_.path() / "resumed", {}, {}, run);
  EXPECT_EQ(result.resumed_from, 5);
  expect_same("whole", "resumed");
}

TEST_F(TrainTranslation, ChunksGiveTheGradientOfTheWholeBatch) {
  options_.dropout = 0;
  options_.max_steps = 3;
  options_.adam_epsilon = 1e-3;  // AdamW would blow up the noise of gradients that are 0, those of the keys' biases
  train("whole");
  options_.chunks = 3;
  train("chunks");
  const nn::StateDict whole = weights("whole"), chunks = weights("chunks");
  for (const auto& [name, value] : whole) {
    const Tensor difference = value - chunks.at(name);
    EXPECT_LT(std::max(max(difference).item(), -min(difference).item()), 1e-4) << name;
  }
}

TEST_F(TrainTranslation, EveryEpochHasTheSameNumberOfBatches) {
  const nn::Tokenizer tokenizer = new_translation_tokenizer(pairs_, options_);
  options_.epochs = 4;
  std::set<int64_t> steps;
  int64_t of_epoch = 0, epoch = 1;
  const TrainResult result = train_translation(pairs_, options_, folder_.path() / "m", [&](const Progress& now) {
    if (now.epoch != epoch) steps.insert(std::exchange(of_epoch, 0)), epoch = now.epoch;
    ++of_epoch;
    return true;
  });
  steps.insert(of_epoch);
  EXPECT_EQ(steps.size(), 1U);
  EXPECT_EQ(result.epochs, 4);
  EXPECT_EQ(result.steps, 4 * *steps.begin());
}

TEST_F(TrainTranslation, GoesOnFromAModel) {
  train("first");
  TrainOptions more = options_;
  more.from = folder_.path() / "first";
  more.lr = 1e-9;
  more.weight_decay = 0;
  train_translation(pairs_, more, folder_.path() / "second");
  const nn::StateDict first = weights("first"), second = weights("second");
  for (const auto& [name, value] : first) {
    const Tensor difference = value - second.at(name);
    EXPECT_LT(std::max(max(difference).item(), -min(difference).item()), 1e-6) << name;
  }
  const std::vector<TranslationPair> german = {{"a", "b", "en", "de"}, {"b", "a", "de", "en"}};
  EXPECT_NE(message_of<ValueError>([&] { train_translation(german, more, folder_.path() / "x"); }).find(">>de<<"),
            std::string::npos);
}

TEST_F(TrainTranslation, WhatCannotBeTrainedIsRefused) {
  const auto out = folder_.path() / "m";
  EXPECT_THROW(train_translation({}, options_, out), ValueError);
  TrainOptions narrow = options_;
  narrow.batch_tokens = 5;
  EXPECT_NE(
      message_of<ValueError>([&] { train_translation(pairs_, narrow, out); }).find("batch_tokens is 5, but a pair"),
      std::string::npos);
  narrow = options_;
  narrow.max_length = 3;
  EXPECT_NE(message_of<ValueError>([&] { train_translation(pairs_, narrow, out); }).find("more than 3 tokens"),
            std::string::npos);
  narrow = options_;
  narrow.heads = 5;
  EXPECT_THROW(train_translation(pairs_, narrow, out), ValueError);
  narrow = options_;
  narrow.vocab = 100;
  EXPECT_THROW(train_translation(pairs_, narrow, out), ValueError);
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace qing::optim
