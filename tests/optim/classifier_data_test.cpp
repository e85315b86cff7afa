#include <qing/optim/classifier/classifier_data.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include <qing/nn/data/batch_sampler.h>
#include <qing/nn/data/data_loader.h>
#include <qing/nn/data/dataset.h>
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

  ClassifierSampler sampler() const {
    return ClassifierSampler(encode_examples(examples_, tokenizer_, nullptr), options_);
  }

  ClassifierBatch batch(const std::vector<size_t>& rows, const nn::NgramTable* ngrams = nullptr,
                        const nn::BatchNumber& number = {}) const {
    const std::vector<ClassifierExample> all = encode_examples(examples_, tokenizer_, ngrams);
    std::vector<ClassifierExample> examples;
    for (const size_t row : rows) examples.push_back(all[row]);
    return ClassifierCollate(all, options_, tokenizer_.mask_id())(std::move(examples), number);
  }

  std::vector<nn::Example> examples_;
  TrainOptions options_;
  nn::Tokenizer tokenizer_;
};

TEST_F(ClassifierDataTest, AnEpochHasEveryExampleOnce) {
  std::vector<size_t> order = sampler().indices(0);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  ASSERT_EQ(order.size(), examples_.size());
  for (size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], i);
}

TEST_F(ClassifierDataTest, AnEpochTakesAnotherShareOfExtraGroupsEachTime) {
  options_.extra_groups = {1};
  options_.extra_share = 0.25;
  const ClassifierSampler all = sampler();
  EXPECT_EQ(all.size(), 110u);
  EXPECT_EQ(all.dataset_size(), 140u);
  std::set<size_t> seen;
  for (uint64_t epoch = 0; epoch < 20; ++epoch) {
    const std::vector<size_t> order = all.indices(epoch);
    EXPECT_EQ(order, sampler().indices(epoch));
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
  for (uint64_t draw = 0; draw < 20; ++draw) {
    const nn::RaggedBatch tokens = batch(rows, nullptr, {0, draw}).tokens;
    const int32_t* ids = tokens.ids.data<int32_t>();
    for (int64_t text = 0; text < tokens.sequences(); ++text) {
      const int64_t begin = tokens.offsets[static_cast<size_t>(text)];
      const int64_t end = tokens.offsets[static_cast<size_t>(text) + 1];
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
  const std::vector<nn::NgramFeatures> ngrams = batch(rows, &table).ngrams;
  const nn::NgramFeatures whole = table.features("a b c d e f");
  ASSERT_EQ(ngrams.size(), 200u);
  size_t kept = 0;
  double squares = 0;
  for (const nn::NgramFeatures& features : ngrams) {
    EXPECT_TRUE(std::includes(whole.rows.begin(), whole.rows.end(), features.rows.begin(), features.rows.end()));
    kept += features.rows.size();
    for (const float value : features.values) squares += double{value} * value;
  }
  EXPECT_NEAR(static_cast<double>(kept) / static_cast<double>(200 * whole.rows.size()), 0.5, 0.03);
  EXPECT_NEAR(squares / 200, 1.49, 0.1);
}

TEST_F(ClassifierDataTest, DropoutDependsOnTheSeedAndTheBatchAlone) {
  options_.word_dropout = 0.5;
  const auto drawn = [this](uint64_t epoch, uint64_t number) {
    const Tensor ids = batch({0, 1, 2, 3}, nullptr, {epoch, number}).tokens.ids;
    return std::vector<int32_t>(ids.data<int32_t>(), ids.data<int32_t>() + ids.numel());
  };
  const auto first = drawn(3, 5);
  EXPECT_EQ(drawn(3, 5), first);
  EXPECT_NE(drawn(3, 6), first);
  EXPECT_NE(drawn(4, 5), first);
  EXPECT_NE(drawn(5, 3), first);
  options_.seed += 1;
  EXPECT_NE(drawn(3, 5), first);
}

TEST_F(ClassifierDataTest, WorkersDoNotChangeTheBatches) {
  options_.word_dropout = 0.5;
  options_.extra_groups = {1};
  const std::vector<ClassifierExample> all = encode_examples(examples_, tokenizer_, nullptr);
  const auto batches = std::make_shared<nn::FixedBatchSampler>(std::make_shared<ClassifierSampler>(all, options_), 16);
  const auto ids_of = [&](int64_t workers) {
    nn::DataLoader loader(nn::SpanDataset<ClassifierExample>(all),
                          ClassifierCollate(all, options_, tokenizer_.mask_id()), batches, {.num_workers = workers});
    std::vector<int32_t> ids;
    while (loader.epoch() < 2) {
      for (const ClassifierBatch& batch : loader) {
        const auto found = batch.tokens.ids.span<int32_t>();
        ids.insert(ids.end(), found.begin(), found.end());
      }
    }
    return ids;
  };
  EXPECT_EQ(ids_of(2), ids_of(0));
}

TEST_F(ClassifierDataTest, SmoothsOverTheLabelsThatCompete) {
  options_.label_smoothing = 0.3;
  options_.extra_groups = {1};
  const Tensor targets = batch({0, 100}).targets;
  ASSERT_EQ(targets.shape(), (Shape{2, 3}));
  const float expected[] = {0.8F, 0.1F, 0.1F, 0.85F, 0, 0.15F};
  for (int i = 0; i < 6; ++i) EXPECT_FLOAT_EQ(targets.data<float>()[i], expected[i]) << i;
}

TEST_F(ClassifierDataTest, AdjustsByTheSharesOfTheGroup) {
  options_.balance = 2;
  options_.extra_groups = {1};
  const Tensor adjustments = batch({0, 100}).adjustments;
  ASSERT_EQ(adjustments.shape(), (Shape{2, 3}));
  const float* values = adjustments.data<float>();
  EXPECT_NEAR(values[0], 2 * std::log(26.0 / 103), 1e-6);
  EXPECT_NEAR(values[1], 2 * std::log(1.0 / 103), 1e-6);
  EXPECT_NEAR(values[2], 2 * std::log(76.0 / 103), 1e-6);
  EXPECT_NEAR(values[3], 2 * std::log(21.0 / 43), 1e-6);
  EXPECT_LT(values[4], -1000) << "a label that an extra group lacks does not compete";
}

TEST_F(ClassifierDataTest, AdjustsNothingUnlessAsked) { EXPECT_FALSE(batch({0, 100}).adjustments.defined()); }

}  // namespace
}  // namespace qing::optim
