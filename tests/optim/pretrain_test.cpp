#include <qing/optim/pretraining/pretrain.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/models/pretrained.h>
#include <qing/optim/classifier/train_classifier.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/threads.h>

#include "nn/temp_folder.h"

namespace qing::optim {
namespace {

nn::Tokenizer small_tokenizer(int32_t max_length = 64) {
  std::vector<std::string> pieces(std::begin(nn::kSpecialTokens), std::end(nn::kSpecialTokens));
  for (const char* piece : {"a", "b", "c", "d", "e", "f", "walk", "##ing", "##er", "##s"}) pieces.emplace_back(piece);
  return nn::Tokenizer(pieces, {.max_length = max_length});
}

class Pretrain : public ::testing::Test {
 protected:
  Pretrain() {
    const char* things[] = {"film", "phone", "book", "lamp"};
    const char* words[] = {"red and round", "green and flat", "blue and tall"};
    for (int i = 0; i < 120; ++i) {
      texts_.push_back("the " + std::string(things[i % 4]) + " is " + words[i % 3] + " and costs " +
                       std::to_string(i % 5) + " coins");
    }
    options_ = {.layers = 1, .width = 32, .batch = 12, .vocab = 200, .epochs = 2, .max_length = 32, .lr = 5e-3};
  }
  nn::StateDict weights(const char* name) const {
    return nn::load_safetensors(folder_.path() / name / "model.safetensors").tensors;
  }

  qing::test::TempFolder folder_;
  std::vector<std::string> texts_;
  TrainOptions options_;
};

TEST(MaskedTexts, CutsLongTextsIntoWindows) {
  const nn::Tokenizer tokenizer = small_tokenizer(6);
  const std::vector<std::string> texts = {"a b c d e f", "", "walking a"};
  const auto examples = masked_examples(texts, tokenizer);
  ASSERT_EQ(examples.size(), 3U) << "two windows of the first, none of the empty text";
  EXPECT_EQ(examples[0].ids.size(), 6U);
  EXPECT_EQ(examples[1].ids.size(), 4U);
  const std::vector<TokenPlace> expected = {TokenPlace::special, TokenPlace::first_of_word, TokenPlace::inside_word,
                                            TokenPlace::first_of_word, TokenPlace::special};
  EXPECT_EQ(examples[2].places, expected);
  EXPECT_THROW(masked_examples(std::vector<std::string>{"\xff"}, tokenizer), DataError);
}

TEST(MaskedTexts, PredictsTheShareInBertsProportions) {
  const nn::Tokenizer tokenizer = small_tokenizer();
  const std::vector<std::string> texts(400, "a b c d e f a b c d e f a b c d e f a b");
  const auto examples = masked_examples(texts, tokenizer);
  const MaskedCollate collate(tokenizer, {.seed = 3});
  const MaskedBatch batch = collate(examples, {0, 0});
  ASSERT_EQ(batch.rows.size(0), 1200) << "3 of 20 tokens of each text";
  int64_t masked = 0, same = 0, special = 0;
  for (int64_t i = 0; i < 1200; ++i) {
    const int32_t row = batch.rows.data<int32_t>()[i], label = batch.labels.data<int32_t>()[i];
    const int32_t id = batch.tokens.ids.data<int32_t>()[row];
    EXPECT_EQ(label, examples[0].ids[static_cast<size_t>(row % 22)]);
    masked += id == tokenizer.mask_id() ? 1 : 0;
    same += id == label ? 1 : 0;
    special += id < 5 ? 1 : 0;
  }
  EXPECT_EQ(special, masked) << "a random token is no special one";
  EXPECT_NEAR(static_cast<double>(masked) / 1200, 0.8, 0.035);
  EXPECT_NEAR(static_cast<double>(same) / 1200, 0.1 + 0.1 / 10, 0.03);
  // All other tokens are as they were.
  int64_t changed = 0;
  for (int64_t i = 0; i < batch.tokens.tokens(); ++i) {
    changed += batch.tokens.ids.data<int32_t>()[i] != examples[0].ids[static_cast<size_t>(i % 22)] ? 1 : 0;
  }
  EXPECT_EQ(changed, 1200 - same);
  EXPECT_TRUE(identical(collate(examples, {0, 0}).tokens.ids, batch.tokens.ids));
  EXPECT_FALSE(identical(collate(examples, {0, 1}).tokens.ids, batch.tokens.ids));
}

TEST(MaskedTexts, PredictsWholeWords) {
  const nn::Tokenizer tokenizer = small_tokenizer();
  const std::vector<std::string> texts(50, "walking a walkers b walkings c d e walker f");
  const auto examples = masked_examples(texts, tokenizer);
  const MaskedBatch batch = MaskedCollate(tokenizer, {.share = 0.25, .whole_words = true})(examples, {0, 0});
  const auto length = static_cast<int32_t>(examples[0].ids.size());
  const auto rows = batch.rows.span<int32_t>();
  const auto predicted = [&](int32_t row) { return std::ranges::binary_search(rows, row); };
  int64_t inside = 0;
  for (int32_t row = 0; row < static_cast<int32_t>(batch.tokens.tokens()); ++row) {
    if (examples[0].places[static_cast<size_t>(row % length)] != TokenPlace::inside_word) continue;
    EXPECT_EQ(predicted(row), predicted(row - 1)) << row;
    inside += predicted(row) ? 1 : 0;
  }
  EXPECT_GT(inside, 20);
  // A text of one long word.
  const auto one = masked_examples(std::vector<std::string>{"walkersingsingsingsings"}, tokenizer);
  ASSERT_EQ(one[0].ids.size(), 13U);
  EXPECT_EQ(MaskedCollate(tokenizer, {.share = 0.3, .whole_words = true})(one, {0, 0}).rows.size(0), 3);
}

TEST_F(Pretrain, LearnsAndIsFineTuned) {
  options_.epochs = 30;
  std::vector<double> losses;
  pretrain(texts_, options_, folder_.path() / "m",
           [&](const Progress& now) { return losses.push_back(now.step_loss), true; });
  ASSERT_EQ(losses.size(), 300U);
  EXPECT_LT(losses.back(), 0.5 * losses.front());
  const MaskedScore score = evaluate_masked_lm(folder_.path() / "m", texts_, options_);
  EXPECT_GT(score.accuracy, 0.6);
  EXPECT_GT(score.tokens, 120);
  EXPECT_EQ(evaluate_masked_lm(folder_.path() / "m", texts_, options_).loss, score.loss);

  std::vector<nn::Example> examples;
  for (size_t i = 0; i < texts_.size(); ++i) examples.push_back({texts_[i], static_cast<int32_t>(i % 3), ""});
  TrainOptions tuning{.max_steps = 1, .lr = 1e-12, .from = folder_.path() / "m"};
  tuning.weight_decay = 0;
  train_classifier(examples, tuning, folder_.path() / "tuned");
  const nn::StateDict before = weights("m"), after = weights("tuned");
  const char* name = "bert.encoder.layer.0.attention.self.query.weight";
  EXPECT_TRUE(allclose(after.at(name), before.at(name), 0, 1e-9));
}

TEST_F(Pretrain, ResumesToTheBit) {
  options_.ema = 0.9;
  pretrain(texts_, options_, folder_.path() / "straight");
  const RunOptions run{.checkpoints = folder_.path() / "checkpoints", .checkpoint_every = 3};
  pretrain(
      texts_, options_, folder_.path() / "m", [](const Progress& now) { return now.step < 7; }, {}, run);
  set_num_threads(num_threads() == 1 ? 2 : 1);
  EXPECT_EQ(pretrain(texts_, options_, folder_.path() / "m", {}, {}, run).resumed_from, 7);
  const nn::StateDict straight = weights("straight");
  for (const auto& [name, tensor] : weights("m")) EXPECT_TRUE(identical(tensor, straight.at(name))) << name;
}

TEST_F(Pretrain, GoesOnFromAFolder) {
  pretrain(texts_, options_, folder_.path() / "m");
  const double before = evaluate_masked_lm(folder_.path() / "m", texts_, options_).loss;
  TrainOptions more = options_;
  more.from = folder_.path() / "m";
  more.epochs = 10;
  pretrain(texts_, more, folder_.path() / "more");
  EXPECT_LT(evaluate_masked_lm(folder_.path() / "more", texts_, options_).loss, before);
  EXPECT_EQ(weights("more").size(), weights("m").size());
  more.lr = 1e-30;
  more.max_steps = 1;
  more.weight_decay = 0;
  pretrain(texts_, more, folder_.path() / "same");
  for (const auto& [name, tensor] : weights("same"))
    EXPECT_TRUE(allclose(tensor, weights("m").at(name), 0, 1e-9)) << name;
}

TEST_F(Pretrain, TheBestModelIsKept) {
  std::vector<double> scores;
  RunOptions run{.evaluate =
                     [&](const std::filesystem::path& folder, const Progress&) {
                       scores.push_back(-evaluate_masked_lm(folder, texts_, options_).loss);
                       return scores.size() == 1 ? 1.0 : scores.back();  // as if the first were the best
                     },
                 .last = folder_.path() / "last"};
  pretrain(texts_, options_, folder_.path() / "m", {}, {}, run);
  ASSERT_EQ(scores.size(), 2U);
  EXPECT_EQ(-evaluate_masked_lm(folder_.path() / "m", texts_, options_).loss, scores[0]);
  EXPECT_EQ(-evaluate_masked_lm(folder_.path() / "last", texts_, options_).loss, scores[1]);
}

TEST_F(Pretrain, RefusesWhatHasNoTokens) {
  EXPECT_THROW(pretrain({}, options_, folder_.path() / "m"), ValueError);
  options_.mask_share = 0;
  EXPECT_THROW(pretrain(texts_, options_, folder_.path() / "m"), ValueError);
}

}  // namespace
}  // namespace qing::optim
