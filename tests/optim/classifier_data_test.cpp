#include <qing/optim/classifier/classifier_data.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include <qing/nn/text/tokenizer.h>

namespace qing::optim {
namespace {

class ClassifierDataTest : public ::testing::Test {
 protected:
  ClassifierDataTest() : tokenizer_(vocabulary()) {
    for (int i = 0; i < 100; ++i) examples_.push_back({"a b c d e f", i % 4 == 0 ? 0 : 2, "", 0});  // 25 to 75
    for (int i = 0; i < 40; ++i) examples_.push_back({"e d c b a", i % 2 == 0 ? 0 : 2, "", 1});
  }

  static std::vector<std::string> vocabulary() {
    std::vector<std::string> pieces(std::begin(nn::kSpecialTokens), std::end(nn::kSpecialTokens));
    for (const char* piece : {"a", "b", "c", "d", "e", "f"}) pieces.emplace_back(piece);
    return pieces;
  }

  ClassifierData data(const nn::NgramTable* ngrams = nullptr) const {
    return ClassifierData(examples_, options_, tokenizer_, ngrams);
  }

  std::vector<nn::Example> examples_;
  TrainOptions options_;
  nn::Tokenizer tokenizer_;
  Generator rng_{3};
};

TEST_F(ClassifierDataTest, AnEpochHasEveryExampleOnce) {
  std::vector<size_t> order = data().epoch_order(rng_);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  ASSERT_EQ(order.size(), examples_.size());
  for (size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], i);
}

TEST_F(ClassifierDataTest, AnEpochTakesAnotherShareOfExtraGroupsEachTime) {
  options_.extra_groups = {1};
  options_.extra_share = 0.25;
  const ClassifierData all = data();
  EXPECT_EQ(all.epoch_size(), 110u);
  std::set<size_t> seen;
  for (int epoch = 0; epoch < 20; ++epoch) {
    const std::vector<size_t> order = all.epoch_order(rng_);
    ASSERT_EQ(std::set<size_t>(order.begin(), order.end()).size(), 110u);
    EXPECT_EQ(std::count_if(order.begin(), order.end(), [](size_t i) { return i < 100; }), 100);
    seen.insert(order.begin(), order.end());
  }
  EXPECT_GT(seen.size(), 135u);
}

TEST_F(ClassifierDataTest, MasksWordsAtTheirShareButNoSpecialTokens) {
  options_.word_dropout = 0.25;
  std::vector<size_t> rows(140);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = i;
  int64_t masked = 0, words = 0;
  for (int draw = 0; draw < 20; ++draw) {
    const ClassifierBatch batch = data().batch(rows, rng_);
    const int32_t* ids = batch.tokens.ids.data<int32_t>();
    for (int64_t text = 0; text < batch.tokens.sequences(); ++text) {
      const int64_t begin = batch.tokens.offsets[static_cast<size_t>(text)];
      const int64_t end = batch.tokens.offsets[static_cast<size_t>(text) + 1];
      EXPECT_EQ(ids[begin], tokenizer_.cls_id());
      EXPECT_EQ(ids[end - 1], tokenizer_.sep_id());
      words += end - begin - 2;
      masked += std::count(ids + begin, ids + end, tokenizer_.mask_id());
    }
  }
  EXPECT_NEAR(static_cast<double>(masked) / static_cast<double>(words), 0.25, 0.015);
}

TEST_F(ClassifierDataTest, DropsNgramsAndKeepsTheNormOnAverage) {
  options_.ngram_dropout = 0.5;
  const auto table = nn::NgramTable::build(std::vector<std::string>{"a b c d e f", "e d c b a"}, {}, 1);
  const std::vector<size_t> rows(200, 0);
  const ClassifierBatch batch = data(&table).batch(rows, rng_);
  const nn::NgramFeatures whole = table.features("a b c d e f");
  ASSERT_EQ(batch.ngrams.size(), 200u);
  size_t kept = 0;
  double squares = 0;
  for (const nn::NgramFeatures& features : batch.ngrams) {
    EXPECT_TRUE(std::includes(whole.rows.begin(), whole.rows.end(), features.rows.begin(), features.rows.end()));
    kept += features.rows.size();
    for (const float value : features.values) squares += double{value} * value;
  }
  EXPECT_NEAR(static_cast<double>(kept) / static_cast<double>(200 * whole.rows.size()), 0.5, 0.03);
  EXPECT_NEAR(squares / 200, 1.49, 0.1);
}

TEST_F(ClassifierDataTest, SmoothsOverTheLabelsThatCompete) {
  options_.label_smoothing = 0.3;
  options_.extra_groups = {1};
  const Tensor targets = data().batch(std::vector<size_t>{0, 100}, rng_).targets;
  ASSERT_EQ(targets.shape(), (Shape{2, 3}));
  const float expected[] = {0.8F, 0.1F, 0.1F, 0.85F, 0, 0.15F};
  for (int i = 0; i < 6; ++i) EXPECT_FLOAT_EQ(targets.data<float>()[i], expected[i]) << i;
}

TEST_F(ClassifierDataTest, AdjustsByTheSharesOfTheGroup) {
  options_.balance = 2;
  options_.extra_groups = {1};
  const std::vector<size_t> rows = {0, 100};
  const Tensor adjustments = data().batch(rows, rng_).adjustments;
  ASSERT_EQ(adjustments.shape(), (Shape{2, 3}));
  const float* values = adjustments.data<float>();
  EXPECT_NEAR(values[0], 2 * std::log(26.0 / 103), 1e-6);
  EXPECT_NEAR(values[1], 2 * std::log(1.0 / 103), 1e-6);
  EXPECT_NEAR(values[2], 2 * std::log(76.0 / 103), 1e-6);
  EXPECT_NEAR(values[3], 2 * std::log(21.0 / 43), 1e-6);
  EXPECT_LT(values[4], -1000) << "a label that an extra group lacks does not compete";
}

TEST_F(ClassifierDataTest, AdjustsNothingUnlessAsked) {
  const std::vector<size_t> rows = {0, 100};
  EXPECT_FALSE(data().batch(rows, rng_).adjustments.defined());
}

}  // namespace
}  // namespace qing::optim
