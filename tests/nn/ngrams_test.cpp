#include <qing/nn/models/ngram_head.h>
#include <qing/nn/text/ngrams.h>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <map>

#include <qing/nn/formats/safetensors.h>
#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::message_of;
using test::TempFolder;

NgramTable table_of(const std::vector<std::string>& texts, int64_t min_texts = 1) {
  return NgramTable::build(texts, {}, min_texts);
}

TEST(NgramTable, CountsWordsInARowAndPiecesOfLongWords) {
  // Words: ab, c, "ab c". Pieces of <ab>: <a <ab <ab> ab ab> b>; of <c>: <c <c> c>.
  EXPECT_EQ(table_of({"ab c"}).size(), 3 + 6 + 3);
  // Characters that are words have no pieces: 好 吃 吗 好吃 吃吗 好吃吗.
  EXPECT_EQ(table_of({"好吃吗"}).size(), 6);
  EXPECT_EQ(table_of({"a b c d"}).size(), 4 + 3 + 2 + 4 * 3);
}

TEST(NgramTable, KeepsWhatEnoughTextsHave) {
  EXPECT_EQ(table_of({"好 好", "好 坏"}, 2).size(), 1);
  EXPECT_EQ(table_of({"好 好", "坏"}, 2).size(), 0);
  EXPECT_THROW(table_of({"好"}, 0), ValueError);
}

// Trainings keep the features of many texts.
TEST(NgramTable, FeaturesKeepNoSpareCapacity) {
  const NgramFeatures features = table_of({"好", "坏", "大"}).features("好坏大好");
  EXPECT_EQ(features.rows.size(), 3u);
  EXPECT_EQ(features.rows.capacity(), 3u);
  EXPECT_EQ(features.values.capacity(), 3u);
}

TEST(NgramTable, WeighsByFrequencyAndRarity) {
  const NgramTable table = table_of({"好", "好", "坏"});
  const double good = (1 + std::log(2.0)) * (std::log(4.0 / 3) + 1), bad = std::log(4.0 / 2) + 1;
  const NgramFeatures features = table.features("好坏好");
  ASSERT_EQ(features.rows.size(), 2u);
  const double norm = std::sqrt(good * good + bad * bad);
  std::map<int32_t, float> values;
  for (size_t i = 0; i < 2; ++i) values[features.rows[i]] = features.values[i];
  EXPECT_NEAR(values.at(table.features("好").rows[0]), good / norm, 1e-6);
  EXPECT_NEAR(values.at(table.features("坏").rows[0]), bad / norm, 1e-6);
}

TEST(NgramTable, WordsAndPiecesHaveNormsOfTheirOwn) {
  const NgramTable table = table_of({"good film", "bad film"});
  double squares = 0;
  for (const float value : table.features("film").values) squares += double{value} * value;
  EXPECT_NEAR(squares, 1 + 0.49, 1e-5);
}

TEST(NgramTable, IgnoresUnknownNgrams) {
  const NgramFeatures features = table_of({"好"}).features("坏");
  EXPECT_TRUE(features.rows.empty());
  EXPECT_TRUE(features.values.empty());
}

TEST(NgramTable, OccurrencesAddUpToTheFeaturesAndLieInTheText) {
  const std::vector<std::string> texts = {"Bad bad film", "这个 film 真好", "très Bon"};
  const NgramTable table = table_of(texts);
  for (const std::string& text : texts) {
    std::map<int32_t, double> sums;
    for (const NgramOccurrence& occurrence : table.occurrences(text)) {
      sums[occurrence.row] += occurrence.value;
      EXPECT_LT(occurrence.begin, occurrence.end);
      EXPECT_LE(occurrence.end, text.size());
    }
    const NgramFeatures features = table.features(text);
    ASSERT_EQ(sums.size(), features.rows.size());
    for (size_t i = 0; i < features.rows.size(); ++i) EXPECT_NEAR(sums.at(features.rows[i]), features.values[i], 1e-6);
  }
  EXPECT_EQ(table.occurrences("film").front().end, 4u);
}

TEST(NgramTable, ComesBackFromItsState) {
  const NgramTable table = table_of({"a good film", "这个电影"});
  const NgramTable again = NgramTable::from(table.state_dict(), {});
  rc::check([&](const std::vector<uint8_t>& picks) {
    const char* words[] = {"a", "good", "film", "这", "电影", "x"};
    std::string text;
    for (const uint8_t pick : picks) text += std::string(words[pick % 6]) + " ";
    RC_ASSERT(again.features(text).rows == table.features(text).rows);
    RC_ASSERT(again.features(text).values == table.features(text).values);
  });
}

TEST(NgramTable, RefusesAnInvalidState) {
  StateDict state = table_of({"好 坏"}).state_dict();
  const auto message = [&] { return message_of<DataError>([&] { NgramTable::from(state, {}); }); };
  const Tensor keys = state.at("keys"), idf = state.at("idf");
  state["keys"] = Tensor::full({keys.numel()}, 7, DType::i32);
  EXPECT_NE(message().find("ascend"), std::string::npos);
  state["keys"] = keys;
  state["idf"] = Tensor::full({keys.numel()}, -1.0);
  EXPECT_NE(message().find("positive"), std::string::npos);
  state["idf"] = Tensor::full({1}, 1.0);
  EXPECT_NE(message().find("keys and"), std::string::npos);
  state.erase("idf");
  EXPECT_NE(message().find("'idf'"), std::string::npos);
}

TEST(NgramTable, RefusesInvalidUtf8) { EXPECT_THROW(table_of({"好"}).features("\xff"), DataError); }

class NgramHeadFile : public ::testing::Test {
 protected:
  NgramHeadFile() : head_(table_of({"good film", "bad film", "好 坏"}), 3) {
    Generator rng(1);
    Tensor weight = head_.get_parameter("weight");
    rng.fill_normal(weight, 0, 1);
    const Tensor rounded = weight.to(DType::f16).to(DType::f32);  // the precision of the file
    std::copy_n(rounded.data<float>(), rounded.numel(), weight.data<float>());
  }

  Tensor logits(const NgramHead& head, const std::string& text) const {
    const NgramFeatures features = head.table().features(text);
    const NgramFeatures* one[] = {&features};
    return head.forward(one);
  }

  TempFolder folder_;
  NgramHead head_;
};

TEST_F(NgramHeadFile, SumsWeightsByValues) {
  const NgramFeatures features{{0, 2}, {0.5F, 2.0F}};
  const NgramFeatures none;
  const NgramFeatures* both[] = {&features, &none};
  const Tensor logits = head_.forward(both);
  const float* w = head_.get_parameter("weight").data<float>();
  for (int64_t c = 0; c < 3; ++c) {
    EXPECT_FLOAT_EQ(logits.data<float>()[c], 0.5F * w[c] + 2.0F * w[6 + c]);
    EXPECT_EQ(logits.data<float>()[3 + c], 0);
  }
}

TEST_F(NgramHeadFile, ComesBackFromItsFile) {
  const auto path = folder_.path() / "n.safetensors";
  head_.save(path);
  const NgramHead again = NgramHead::load(path, {}, 3);
  const Tensor before = logits(head_, "good 好"), after = logits(again, "good 好");
  for (int64_t c = 0; c < 3; ++c) EXPECT_NEAR(before.data<float>()[c], after.data<float>()[c], 2e-3);
}

TEST_F(NgramHeadFile, NamesTheFileThatDoesNotFit) {
  const auto path = folder_.path() / "n.safetensors";
  head_.save(path);
  const auto message = [&](int64_t labels) {
    return message_of<DataError>([&] { NgramHead::load(path, {}, labels); });
  };
  EXPECT_NE(message(2).find("n.safetensors"), std::string::npos);
  EXPECT_NE(message(2).find("weight"), std::string::npos);
  save_safetensors(path, {.tensors = {{"idf", Tensor::zeros({2})}}, .metadata = {}});
  EXPECT_NE(message(3).find("'idf'"), std::string::npos);
  EXPECT_THROW(NgramHead::load(folder_.path() / "absent", {}, 3), IoError);
}

}  // namespace
}  // namespace qing::nn
