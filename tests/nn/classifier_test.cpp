#include <qing/nn/models/encoder_heads.h>

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>

#include <fmt/format.h>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/formats/sharded_safetensors.h>
#include <qing/nn/models/label_names.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/nn/models/text_classifier_files.h>
#include <qing/tensor/allocator.h>
#include <qing/tensor/errors.h>

#include "nn/process_memory.h"
#include "nn/temp_folder.h"
#include "sanitized.h"

namespace qing::nn {
namespace {

using test::kSanitized;
using test::message_of;
using test::own_bytes;
using test::TempFolder;

std::vector<std::string> vocabulary() {
  std::vector<std::string> pieces(std::begin(kSpecialTokens), std::end(kSpecialTokens));
  for (char c = 'a'; c <= 'z'; ++c) {
    pieces.push_back(std::string(1, c));
    pieces.push_back("##" + std::string(1, c));
  }
  return pieces;
}

ClassifierConfig small_config() {
  return {.encoder = {.vocab_size = 57,
                      .hidden_size = 32,
                      .num_hidden_layers = 2,
                      .num_attention_heads = 4,
                      .intermediate_size = 64,
                      .max_position_embeddings = 64,
                      .initializer_range = 0.3}};
}

class Classifier : public ::testing::Test {
 protected:
  Classifier() : model_(small_config(), rng_) {
    save_text_classifier(folder_.path(), model_, Tokenizer(vocabulary(), {.max_length = 64}));
  }
  Generator rng_{4};
  TempFolder folder_;
  EncoderForSequenceClassification model_;
};

TEST_F(Classifier, HasTheNamesOfHuggingFace) {
  std::set<std::string> names;
  for (const auto& [name, parameter] : model_.named_parameters()) names.insert(name);
  for (const char* name :
       {"bert.embeddings.word_embeddings.weight", "bert.embeddings.LayerNorm.bias",
        "bert.encoder.layer.1.attention.self.query.weight", "bert.encoder.layer.0.attention.output.LayerNorm.weight",
        "bert.encoder.layer.0.intermediate.dense.bias", "bert.encoder.layer.1.output.dense.weight",
        "bert.pooler.dense.weight", "classifier.bias"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  EXPECT_EQ(names.size(), 5u + 2 * 16 + 2 + 2);
}

TEST_F(Classifier, ScoresAreBitwiseTheSameAloneAndInABatchOf64) {
  std::vector<std::string> texts;
  for (int i = 0; i < 64; ++i) {
    std::string text;
    for (int j = 0; j <= i * 7 % 40; ++j) text += std::string(1, static_cast<char>('a' + (i * 31 + j * 7) % 26)) + " ";
    texts.push_back(text);
  }
  const auto classifier = TextClassifier::load(folder_.path());
  const auto together = classifier->predict(texts);
  ASSERT_EQ(together.size(), 64u);
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto alone = classifier->predict(std::span(&texts[i], 1));
    EXPECT_EQ(std::memcmp(alone[0].scores.data(), together[i].scores.data(), 3 * sizeof(float)), 0) << i;
    EXPECT_EQ(std::memcmp(alone[0].logits.data(), together[i].logits.data(), 3 * sizeof(float)), 0) << i;
    EXPECT_EQ(alone[0].tokens, together[i].tokens);
    EXPECT_NEAR(alone[0].scores[0] + alone[0].scores[1] + alone[0].scores[2], 1, 1e-6);
  }
}

TEST(LoadedClassifier, KeepsItsWeightsOnThePagesOfTheirFile) {
  std::vector<std::string> pieces = vocabulary();
  constexpr int64_t kEntries = 30000, kWidth = 256;  // 30 MB of word embeddings
  while (std::ssize(pieces) < kEntries) pieces.push_back(fmt::format("w{}", pieces.size()));
  ClassifierConfig config = small_config();
  config.encoder.vocab_size = kEntries;
  config.encoder.hidden_size = kWidth;
  TempFolder folder;
  const std::vector<std::string> texts{"a b c w400"};
  {
    Generator rng(4);
    EncoderForSequenceClassification model(config, rng);
    save_text_classifier(folder.path(), model, Tokenizer(pieces, {.max_length = 64}));
  }
  const auto first = TextClassifier::load(folder.path());
  const std::vector<float> logits = first->predict(texts)[0].logits;
  release_cached_memory();
  const int64_t before = own_bytes();
  const auto second = TextClassifier::load(folder.path());
  EXPECT_EQ(second->predict(texts)[0].logits, logits);
  release_cached_memory();
  // The packed matrices of two layers, 4 MB, the tokenizer with its files, and no copy of the embeddings.
  if (before > 0 && !kSanitized) { EXPECT_LT(own_bytes() - before, int64_t{20} << 20); }
  EXPECT_EQ(second->explain(texts).size(), 1U);  // reads weights whose pages were given back
}

TEST_F(Classifier, LowPrecisionScoresAreCloseAndExplanationsEqual) {
  std::vector<std::string> texts;
  for (int i = 0; i < 40; ++i)
    texts.push_back(std::string(static_cast<size_t>(i), static_cast<char>('a' + i % 26)) + " b c");
  const auto full = TextClassifier::load(folder_.path());
  EXPECT_EQ(full->precision(), DType::f32);
  const auto expected = full->predict(texts);
  const auto few = std::span(texts).first(3);
  const auto explained = full->explain(few);
  // This model's random weights spread the logits far more than training does.
  for (const auto& [precision, most] : {std::pair{DType::bf16, 0.01}, {DType::i8, 0.05}}) {
    const auto classifier = TextClassifier::load(folder_.path(), precision);
    EXPECT_EQ(classifier->precision(), precision);
    const auto predictions = classifier->predict(texts);
    float furthest = 0;
    for (size_t i = 0; i < texts.size(); ++i) {
      for (size_t j = 0; j < 3; ++j) {
        furthest = std::max(furthest, std::abs(predictions[i].scores[j] - expected[i].scores[j]));
      }
      const auto alone = classifier->predict(std::span(&texts[i], 1));
      EXPECT_EQ(alone[0].scores, predictions[i].scores) << i;
    }
    EXPECT_GT(furthest, 0);
    EXPECT_LT(furthest, most);
    const auto explanations = classifier->explain(few);
    for (size_t i = 0; i < few.size(); ++i) {
      if (explanations[i].label != explained[i].label) continue;  // near a tie the label may differ
      EXPECT_EQ(explanations[i].score, explained[i].score);
      EXPECT_EQ(explanations[i].gap, explained[i].gap);
    }
  }
  EXPECT_THROW(TextClassifier::load(folder_.path(), DType::f64), ValueError);
}

TEST_F(Classifier, ComputingOnlyFirstTokensGivesTheFullResult) {
  const Tokenizer tokenizer(vocabulary());
  const auto a = tokenizer.encode("some text of words").ids, b = tokenizer.encode("x").ids;
  const std::span<const int32_t> sequences[] = {a, b};
  const RaggedBatch batch = RaggedBatch::of(sequences);
  const Tensor logits = model_.forward(batch);
  const StateDict state = model_.state_dict();
  const Tensor firsts = index_select(model_.hidden_states(batch), 0, batch.firsts);
  const Tensor pooled = tanh(linear(firsts, state.at("bert.pooler.dense.weight"), state.at("bert.pooler.dense.bias")));
  const Tensor full = linear(pooled, state.at("classifier.weight"), state.at("classifier.bias"));
  for (int64_t i = 0; i < 6; ++i) EXPECT_NEAR(logits.data<float>()[i], full.data<float>()[i], 1e-5);
}

TEST_F(Classifier, EveryParameterThatMattersGetsAGradient) {
  model_.train();
  model_.set_requires_grad(true);
  const Tokenizer tokenizer(vocabulary());
  const auto a = tokenizer.encode("some text of words").ids;
  const std::span<const int32_t> sequences[] = {a};
  backward(cross_entropy(model_.forward(RaggedBatch::of(sequences), &rng_), Tensor::from<int32_t>({1}, {1})));
  for (const auto& [name, parameter] : model_.named_parameters()) {
    ASSERT_TRUE(grad(parameter).defined()) << name;
    double total = 0;
    const Tensor gradient = grad(parameter);
    for (const float g : gradient.span<float>()) total += std::abs(g);
    // A key's bias shifts all scores of a query equally, so softmax does not change. Its gradient is only rounding
    // error.
    const bool invisible = name.find("key.bias") != std::string::npos;
    EXPECT_TRUE(invisible || total > 1e-7) << name;
  }
}

TEST_F(Classifier, DropoutIsForTrainingOnly) {
  const Tokenizer tokenizer(vocabulary());
  const auto a = tokenizer.encode("some text").ids;
  const std::span<const int32_t> sequences[] = {a};
  const RaggedBatch batch = RaggedBatch::of(sequences);
  const auto first = [&](Generator* rng) { return model_.forward(batch, rng).data<float>()[0]; };
  EXPECT_EQ(first(nullptr), first(&rng_));
  model_.train();
  EXPECT_NE(first(&rng_), first(&rng_));
  EXPECT_THROW(first(nullptr), ValueError);
  model_.eval();
  EXPECT_EQ(first(nullptr), first(&rng_));
}

TEST_F(Classifier, RefusesBadTextsByIndex) {
  const auto classifier = TextClassifier::load(folder_.path());
  const std::vector<std::string> texts = {"fine", "not \xff"};
  EXPECT_NE(message_of<DataError>([&] { classifier->predict(texts); }).find("text 1"), std::string::npos);
  EXPECT_TRUE(classifier->predict({}).empty());
}

TEST_F(Classifier, LoadingListsAllMismatches) {
  auto file = load_safetensors(folder_.path() / "model.safetensors");
  file.tensors.erase("classifier.bias");
  file.tensors["bert.pooler.dense.bias"] = Tensor::zeros({3});
  file.tensors["bert.encoder.surplus"] = Tensor::zeros({1});
  file.tensors["cls.seq_relationship.weight"] = Tensor::zeros({1});  // of another head: skipped
  save_safetensors(folder_.path() / "model.safetensors", file);
  const std::string message = message_of<DataError>([&] { TextClassifier::load(folder_.path()); });
  for (const char* part : {"model.safetensors", "3 mismatches", "missing classifier.bias", "[3], needs [32]",
                           "unknown bert.encoder.surplus"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST_F(Classifier, WeightsMayBeInShards) {
  const std::vector<std::string> texts = {"some text", "and another"};
  const auto expected = TextClassifier::load(folder_.path())->predict(texts);
  const auto single = folder_.path() / "model.safetensors";
  save_sharded_safetensors(folder_.path(), load_safetensors(single), 20000);
  ASSERT_FALSE(std::filesystem::exists(single));
  ASSERT_TRUE(std::filesystem::exists(folder_.path() / "model.safetensors.index.json"));
  const auto predicted = TextClassifier::load(folder_.path())->predict(texts);
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(predicted[i].logits, expected[i].logits);
}

TEST_F(Classifier, LoadingRefusesATokenizerThatDoesNotFit) {
  auto pieces = vocabulary();
  pieces.push_back("more");
  Tokenizer(pieces, {.max_length = 64}).save(folder_.path());
  EXPECT_NE(message_of<DataError>([&] { TextClassifier::load(folder_.path()); }).find("58 entries"), std::string::npos);
}

TEST_F(Classifier, LoadingAllocatesNoMoreThanTheWeightsJustify) {
  std::string config = test::content_of(folder_.path() / "config.json");
  for (const auto& [from, to] : {std::pair{"\"hidden_size\":32", "\"hidden_size\":16777216"},
                                 std::pair{"\"vocab_size\":57", "\"vocab_size\":16777216"}}) {
    config.replace(config.find(from), std::string(from).size(), to);
  }
  folder_.write("config.json", config);
  EXPECT_NE(message_of<DataError>([&] { TextClassifier::load(folder_.path()); }).find("different models"),
            std::string::npos);
}

TEST_F(Classifier, LoadingNamesTheFieldOfABadConfiguration) {
  const std::string good = test::content_of(folder_.path() / "config.json");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    folder_.write("config.json", text);
    return message_of<DataError>([&] { TextClassifier::load(folder_.path()); });
  };
  EXPECT_NE(with("\"model_type\":\"bert\"", "\"model_type\":\"gpt2\"").find("model_type"), std::string::npos);
  EXPECT_NE(
      with("\"model_type\":\"bert\"", "\"model_type\":\"bert\",\"model_type\":\"bert\"").find("'model_type' appears"),
      std::string::npos);
  EXPECT_NE(with("\"hidden_size\":32", "\"hidden_size\":-32").find("hidden_size"), std::string::npos);
  EXPECT_NE(with("\"hidden_size\":32", "\"hidden_size\":33").find("hidden_size"), std::string::npos);
  EXPECT_NE(with("\"hidden_size\":32", "\"hidden_size\":\"32\"").find("not an integer"), std::string::npos);
  EXPECT_NE(with("\"vocab_size\":57", "\"vocab_size\":99999999999").find("vocab_size"), std::string::npos);
  EXPECT_NE(with("\"vocab_size\":57,", "").find("vocab_size is missing"), std::string::npos);
  EXPECT_NE(with("\"hidden_act\":\"gelu\"", "\"hidden_act\":\"quick_gelu\"").find("hidden_act"), std::string::npos);
  EXPECT_NE(with("{\"0\":", "{\"7\":").find("id2label"), std::string::npos);
  EXPECT_NE(with("single_label_classification", "ranking").find("problem_type"), std::string::npos);
  EXPECT_NE(with("single_label_classification", "regression").find("labels"), std::string::npos);
  EXPECT_NE(with("\"initializer_range\":", "\"initializer_range\":-").find("initializer_range"), std::string::npos);
  EXPECT_NE(with("\"id2label\"", "\"num_labels\":1,\"other\"").find("num_labels"), std::string::npos);
  EXPECT_NE(with("\"id2label\"", "\"num_labels\":99999999,\"other\"").find("num_labels"), std::string::npos);
  EXPECT_NE(with("\"torch_dtype\"", "\"calibration_temperature\":0,\"other\"").find("calibration_temperature"),
            std::string::npos);
  EXPECT_NE(with("{\"0\":\"negative\",\"1\":\"neutral\",\"2\":\"positive\"}", "{\"0\":\"only\"}").find("labels"),
            std::string::npos);
}

TEST_F(Classifier, LoadingRefusesLabelsThatCannotBeToldApart) {
  const std::string good = test::content_of(folder_.path() / "config.json");
  const std::string ids = R"("id2label":{"0":"negative","1":"neutral","2":"positive"})";
  const std::string names = R"("label2id":{"negative":0,"neutral":1,"positive":2})";
  const auto with = [&](const std::string& id2label, const std::string& label2id) {
    std::string text = good;
    text.replace(text.find(ids), ids.size(), R"("id2label":)" + id2label);
    text.replace(text.find(names), names.size(), R"("label2id":)" + label2id);
    folder_.write("config.json", text);
  };
  const auto refusal = [&](const std::string& id2label, const std::string& label2id) {
    with(id2label, label2id);
    const std::string why = message_of<DataError>([&] { TextClassifier::load(folder_.path()); });
    EXPECT_NE(why.find("config.json: "), std::string::npos) << id2label << label2id << why;
    return why;
  };
  const auto loads = [&](const std::string& id2label, const std::string& label2id) {
    with(id2label, label2id);
    return TextClassifier::load(folder_.path())->labels();
  };
  const auto has = [](const std::string& text, const std::string& part) { return text.find(part) != text.npos; };

  // If two labels had one name, an answer would have a duplicate key.
  EXPECT_TRUE(has(refusal(R"({"0":"x","1":"y","2":"x"})", R"({"x":0,"y":1})"), "'x' is the name of labels 0 and 2"));
  EXPECT_TRUE(has(refusal(R"({"0":"x","1":"y","2":"\u0078"})", "null"), "'x' is the name of labels 0 and 2"));
  EXPECT_TRUE(has(refusal(R"({"0":"x","1":"y","2":"z","1":"w"})", "null"), "appears twice"));
  EXPECT_TRUE(has(refusal(ids.substr(11), R"({"negative":0,"neutral":1,"positive":2,"neutral":2})"), "appears twice"));
  // Names that are invisible or break the rows of a table.
  EXPECT_TRUE(has(refusal(R"({"0":"","1":"y","2":"x"})", "null"), "label 0 is ''"));
  EXPECT_TRUE(has(refusal(R"({"0":"y","1":"  ","2":"x"})", "null"), "label 1 is '  '"));
  for (const char* control : {"\\t", "\\n", "\\r", "\\u0000", "\\u007f"}) {
    EXPECT_TRUE(has(refusal(fmt::format(R"({{"0":"y","1":"z","2":"a{}b"}})", control), "null"), "control character"));
  }
  // Ids that are missing, do not begin at 0, or are not plain numbers.
  for (const char* gaps : {R"({"0":"x","2":"y","3":"z"})", R"({"1":"x","2":"y","3":"z"})",
                           R"({"0":"x","01":"y","2":"z"})", R"({"0":"x","1":null,"2":"z"})"}) {
    EXPECT_TRUE(has(refusal(gaps, "null"), "id2label")) << gaps;
  }
  // A label2id that contradicts id2label.
  const std::string plain = R"({"0":"x","1":"y","2":"z"})";
  EXPECT_TRUE(has(refusal(plain, R"({"x":0,"y":2,"z":1})"), "label2id: 'y' is 2, but id2label calls 2 'z'"));
  EXPECT_TRUE(has(refusal(plain, R"({"x":0,"y":1,"z":2,"w":3})"), "label2id: 'w' is 3, and id2label has no 3"));
  EXPECT_TRUE(has(refusal(plain, R"({"x":0,"y":1,"z":-1})"), "label2id: 'z' is -1"));
  EXPECT_TRUE(has(refusal(plain, R"({"x":0,"y":1,"z":true})"), "label2id: 'z' is true"));
  EXPECT_TRUE(has(refusal(plain, R"(["x","y","z"])"), "label2id: needs an object"));

  const std::vector<std::string> expected = {"x", "y", "z"};
  EXPECT_EQ(loads(plain, R"({"x":0,"y":1,"z":2})"), expected);
  EXPECT_EQ(loads(plain, R"({"y":1})"), expected);                    // it may leave labels out
  EXPECT_EQ(loads(plain, R"({"x":"0","y":"1"})"), expected);          // some exporters write texts
  EXPECT_EQ(loads(plain, R"({"LABEL_0":0,"LABEL_1":1})"), expected);  // transformers' default, never set
  EXPECT_EQ(loads(R"({"2":"z","0":"x","1":"y"})", "null"), expected);
}

TEST(LabelNames, AreDistinctAndPrintable) {
  using Labels = std::vector<std::string>;
  EXPECT_NO_THROW(check_label_names(Labels{"a", "A", "a ", "\\n", "n", "\"a\"", "情感", "\xc3\xa9", "e\xcc\x81"}));
  EXPECT_NO_THROW(check_label_names(Labels{}));
  for (const Labels& bad : {Labels{"a", "b", "a"}, {"a", ""}, {" ", "b"}, {"a\tb", "c"}, {"a", "b\n"}, {"a", "\xff"}}) {
    EXPECT_THROW(check_label_names(bad), ValueError) << bad[0] << "," << bad[1];
  }
  ClassifierConfig config;
  config.labels = {"x", "y", "x"};
  EXPECT_THROW(config.validate(), ValueError);
}

TEST_F(Classifier, ATemperatureChangesScoresAndNothingElse) {
  const std::vector<std::string> texts = {"abc", "hello world", "x"};
  const auto plain = TextClassifier::load(folder_.path());
  ClassifierConfig config = ClassifierConfig::load(folder_.path() / "config.json");
  EXPECT_EQ(test::content_of(folder_.path() / "config.json").find("temperature"), std::string::npos);
  config.calibration_temperature = 2.5;
  config.save(folder_.path() / "config.json");
  const auto calibrated = TextClassifier::load(folder_.path());
  EXPECT_EQ(plain->temperature(), 1);
  EXPECT_EQ(calibrated->temperature(), 2.5);
  const auto before = plain->predict(texts), after = calibrated->predict(texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(before[i].logits, after[i].logits);
    EXPECT_EQ(before[i].label, after[i].label);
    double sum = 0;
    for (const float logit : after[i].logits) sum += std::exp(logit / 2.5);
    for (size_t j = 0; j < 3; ++j) {
      EXPECT_NEAR(after[i].scores[j], std::exp(after[i].logits[j] / 2.5) / sum, 1e-6);
      EXPECT_NE(after[i].scores[j], before[i].scores[j]);
    }
  }
}

TEST_F(Classifier, LabelsWithoutNamesAreNumbered) {
  const std::string good = test::content_of(folder_.path() / "config.json");
  const auto with = [&](std::string text, const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
    folder_.write("config.json", text);
    return text;
  };
  const std::string three = with(good, "\"id2label\"", "\"num_labels\":3,\"other\"");
  const std::vector<std::string> expected = {"LABEL_0", "LABEL_1", "LABEL_2"};
  EXPECT_EQ(TextClassifier::load(folder_.path())->labels(), expected);
  with(three, "\"problem_type\":\"single_label_classification\",", "");
  EXPECT_EQ(TextClassifier::load(folder_.path())->labels().size(), 3u);
  with(three, "\"num_labels\":3,", "");
  EXPECT_EQ(ClassifierConfig::load(folder_.path() / "config.json").labels,
            (std::vector<std::string>{"LABEL_0", "LABEL_1"}));
}

TEST_F(Classifier, WithoutALimitTheTokenizerTakesTheModelsLimit) {
  std::string config = test::content_of(folder_.path() / "tokenizer_config.json");
  const std::string limit = "\"model_max_length\":64,";
  const std::vector<std::string> texts = {[] {
    std::string text;
    for (int i = 0; i < 100; ++i) text += "a ";
    return text;
  }()};
  for (const char* none : {"", "\"model_max_length\":null,", "\"model_max_length\":1000000000000000019884624838656,",
                           "\"model_max_length\":4096,"}) {
    std::string text = config;
    folder_.write("tokenizer_config.json", text.replace(text.find(limit), limit.size(), none));
    EXPECT_EQ(TextClassifier::load(folder_.path())->predict(texts)[0].tokens, 64) << none;
  }
  std::filesystem::remove(folder_.path() / "tokenizer_config.json");
  EXPECT_EQ(TextClassifier::load(folder_.path())->predict(texts)[0].tokens, 64);
}

TEST_F(Classifier, AttentionsDropoutAloneNeedsAGenerator) {
  ClassifierConfig config = small_config();
  config.encoder.hidden_dropout_prob = 0;
  EncoderForSequenceClassification model(config, rng_);
  const auto a = Tokenizer(vocabulary()).encode("some text").ids;
  const std::span<const int32_t> sequences[] = {a};
  const RaggedBatch batch = RaggedBatch::of(sequences);
  model.train();
  EXPECT_THROW(model.forward(batch), ValueError);
  EXPECT_THROW(model.hidden_states(batch), ValueError);
  EXPECT_NO_THROW(model.forward(batch, &rng_));
  model.eval();
  EXPECT_NO_THROW(model.forward(batch));
}

TEST_F(Classifier, EachLayersOwnModeDecidesItsDropouts) {
  const auto a = Tokenizer(vocabulary()).encode("some text").ids;
  const std::span<const int32_t> sequences[] = {a};
  const RaggedBatch batch = RaggedBatch::of(sequences);
  const auto first = [&] { return model_.hidden_states(batch, &rng_).data<float>()[0]; };
  const float still = first();
  model_.train();
  model_.get_submodule("bert").eval();
  EXPECT_EQ(first(), still);
  for (const char* part : {"bert.encoder.layer.0", "bert.encoder.layer.1", "bert.embeddings"}) {
    model_.eval();
    model_.get_submodule(part).train();
    EXPECT_NE(first(), first()) << part;
  }
}

}  // namespace
}  // namespace qing::nn
