#include <qing/nn/models/sentence_embedding.h>

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include <qing/nn/text/tokenizer.h>
#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

using test::TempFolder;

TEST(Embedding, IsDividedByItsLength) {
  std::vector<float> vector = {3, -4};
  normalize_embedding(vector);
  EXPECT_EQ(vector, (std::vector<float>{0.6F, -0.8F}));
  std::vector<float> none = {0, 0};
  normalize_embedding(none);
  EXPECT_EQ(none, (std::vector<float>{0, 0}));
}

TEST(Embedding, CosineIsThatOfTheAngle) {
  const std::vector<float> a = {1, 0}, b = {2, 2}, none = {0, 0}, longer = {1, 2, 3};
  EXPECT_NEAR(cosine_similarity(a, b), std::sqrt(0.5), 1e-15);
  EXPECT_EQ(cosine_similarity(a, a), 1);
  EXPECT_EQ(cosine_similarity(a, none), 0);
  EXPECT_THROW(cosine_similarity(a, longer), ShapeError);
}

std::string refusal_of(const TempFolder& folder) {
  try {
    load_sentence_embedding(folder.path());
  } catch (const DataError& error) { return std::string(error.what()).substr(folder.path().string().size()); }
  return "";
}

TEST(SentenceEmbedding, NamesTheFileAndWhatIsNotSupported) {
  const TempFolder folder;
  EXPECT_FALSE(holds_sentence_embedding(folder.path()));
  folder.write("modules.json",
               R"([{"path":"","type":"a.Transformer"},{"path":"1","type":"a.Pooling"},{"path":"2","type":"a.Dense"}])");
  EXPECT_TRUE(holds_sentence_embedding(folder.path()));
  EXPECT_NE(refusal_of(folder).find("/modules.json: type: a.Dense is not supported"), std::string::npos);
  folder.write("modules.json", R"([{"path":"1","type":"a.Pooling"},{"path":"","type":"a.Transformer"}])");
  EXPECT_NE(refusal_of(folder).find("/modules.json: the modules Pooling, Transformer"), std::string::npos);
  folder.write("modules.json", R"([{"path":"","type":"a.Transformer"},{"path":"1","type":"a.Pooling"}])");
  std::filesystem::create_directory(folder.path() / "1");
  folder.write("1/config.json", R"({"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":true})");
  EXPECT_NE(refusal_of(folder).find("/1/config.json: pooling_mode: cls and mean is not supported"), std::string::npos);
}

TEST(SentenceEmbedding, IsWhatAnEncoderWithoutAHeadGives) {
  const TempFolder folder;
  folder.write("config.json", R"({"architectures":["BertForSequenceClassification"]})");
  EXPECT_FALSE(holds_sentence_embedding(folder.path()));
  folder.write("config.json", R"({"architectures":["BertModel"]})");
  EXPECT_TRUE(holds_sentence_embedding(folder.path()));
}

TEST(Tokenizer, DecodesPiecesAndLeavesSpecialTokensOut) {
  const Tokenizer tokenizer({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "##ness", ",", "me", "'", "s"});
  const std::vector<int32_t> ids = {2, 5, 6, 7, 8, 9, 10, 3};
  EXPECT_EQ(tokenizer.decode(ids, true), "goodness, me ' s");
  EXPECT_EQ(tokenizer.decode(ids, false), "[CLS] goodness, me ' s [SEP]");
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{6, 99, -1, 5}, true), "##ness good");
  EXPECT_EQ(tokenizer.decode({}, true), "");
}

}  // namespace
}  // namespace qing::nn
