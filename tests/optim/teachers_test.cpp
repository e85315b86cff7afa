#include <qing/optim/classifier/teachers.h>

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include <qing/nn/data/unlabelled_texts.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/optim/classifier/classifier_data.h>
#include <qing/optim/classifier/train_classifier.h>
#include <qing/tensor/errors.h>

#include "nn/temp_folder.h"
#include "optim/labelled_things.h"

namespace qing::optim {
namespace {

namespace fs = std::filesystem;

class Teachers : public ::testing::Test {
 protected:
  Teachers() {
    for (int i = 0; i < 120; ++i) examples_.push_back({test::labelled_thing(i), i % 3, "", i < 60 ? 0 : 1});
    options_ = {.layers = 1, .width = 32, .batch = 16, .vocab = 200, .epochs = 12, .lr = 5e-3};
  }

  fs::path teacher(const char* name, uint64_t seed) {
    TrainOptions options = options_;
    options.seed = seed;
    train_classifier(examples_, options, folder_.path() / name);
    return folder_.path() / name;
  }
  std::vector<float> scores(const fs::path& folder, size_t row) const {
    return nn::TextClassifier::load(folder)->predict(std::vector{examples_[row].text})[0].scores;
  }

  qing::test::TempFolder folder_;
  std::vector<nn::Example> examples_;
  TrainOptions options_;
};

TEST_F(Teachers, HaveTheTextsOfTheirGroups) {
  options_.teachers = {teacher("a", 1), teacher("b", 2)};
  options_.teacher_groups = {{1}, {}};
  const auto taught = ask_teachers(examples_, options_);
  ASSERT_EQ(taught.size(), examples_.size());
  for (const size_t row : {size_t{3}, size_t{59}}) EXPECT_EQ(taught[row], scores(folder_.path() / "b", row));
  const std::vector<float> a = scores(folder_.path() / "a", 60), b = scores(folder_.path() / "b", 60);
  for (size_t i = 0; i < 3; ++i) EXPECT_FLOAT_EQ(taught[60][i], (a[i] + b[i]) / 2);
  options_.teachers.pop_back();
  options_.teacher_groups.pop_back();
  const auto some = ask_teachers(examples_, options_);
  EXPECT_TRUE(some[59].empty());
  EXPECT_EQ(some[60], a);
  EXPECT_FALSE(has_teacher(options_, 0));
  EXPECT_TRUE(has_teacher(options_, 1));
}

TEST_F(Teachers, AreAskedOnce) {
  options_.teachers = {teacher("a", 1)};
  int64_t calls = 0, last = 0;
  const TeacherOptions asking{.cache = folder_.path() / "scores.safetensors",
                              .on_progress = [&](const TeacherProgress& now) {
                                ++calls;
                                last = now.texts;
                                EXPECT_EQ(now.all, 120);
                              }};
  const auto first = ask_teachers(examples_, options_, asking);
  EXPECT_GT(calls, 0);
  EXPECT_EQ(last, 120);
  const auto calls_for = [&] {
    calls = 0;
    const auto again = ask_teachers(examples_, options_, asking);
    if (again != first) { EXPECT_GT(calls, 0) << "kept predictions differ"; }
    return calls;
  };
  EXPECT_EQ(calls_for(), 0);
  EXPECT_EQ(ask_teachers(examples_, options_), first);
  std::ofstream(folder_.path() / "a" / "README.md") << "other words";
  EXPECT_EQ(calls_for(), 0) << "a card does not change predictions";
  std::ofstream(folder_.path() / "scores.safetensors") << "damaged";
  EXPECT_GT(calls_for(), 0);
  EXPECT_EQ(calls_for(), 0);
  examples_[5].text += " good";
  EXPECT_GT(calls_for(), 0) << "another text";
  teacher("a", 3);
  EXPECT_GT(calls_for(), 0) << "another teacher in the folder";
}

// The shares of the labels that a batch of the first examples has.
ClassifierBatch batch_of(const std::vector<nn::Example>& examples, const TrainOptions& options,
                         std::vector<std::vector<float>> taught) {
  std::vector<std::string> pieces(std::begin(nn::kSpecialTokens), std::end(nn::kSpecialTokens));
  const nn::Tokenizer tokenizer(pieces);
  const auto all = encode_examples(examples, tokenizer, nullptr, std::move(taught));
  return ClassifierCollate(all, options, tokenizer.mask_id())({all[0], all[1], all[2]}, {});
}

TEST(TeachersTargets, OfTextsWithAndWithoutLabelAndTeacher) {
  const std::vector<nn::Example> examples = {
      {"a", 1, "", 0}, {"b", nn::kNoLabel, "", 1}, {"c", 2, "", 2}, {"d", 1, "", 2}};
  TrainOptions options{.label_smoothing = 0.3, .teachers = {"t"}, .teacher_share = 0.5, .unlabelled_groups = {1}};
  const std::vector<std::vector<float>> taught = {{0.2F, 0.3F, 0.5F}, {0.1F, 0.1F, 0.8F}, {}, {}};
  const auto plain = batch_of(examples, options, taught);
  EXPECT_FALSE(plain.softened.defined());
  // Smoothing is for targets with a label.
  const float expected[] = {
      0.7F * 0.1F + 0.1F, 0.7F * 0.65F + 0.1F, 0.7F * 0.25F + 0.1F, 0.1F, 0.1F, 0.8F, 0.1F, 0.1F, 0.8F};
  for (int i = 0; i < 9; ++i) EXPECT_NEAR(plain.targets.data<float>()[i], expected[i], 1e-6) << i;

  options.teacher_temperature = 2;
  const auto soft = batch_of(examples, options, taught);
  const float hard[] = {0.05F, 0.4F, 0.05F, 0, 0, 0, 0.1F, 0.1F, 0.8F};
  for (int i = 0; i < 9; ++i) EXPECT_NEAR(soft.targets.data<float>()[i], hard[i], 1e-6) << i;
  const double roots = std::sqrt(0.2) + std::sqrt(0.3) + std::sqrt(0.5), others = 2 * std::sqrt(0.1) + std::sqrt(0.8);
  const double softened[] = {0.5 * std::sqrt(0.2) / roots,
                             0.5 * std::sqrt(0.3) / roots,
                             0.5 * std::sqrt(0.5) / roots,
                             std::sqrt(0.1) / others,
                             std::sqrt(0.1) / others,
                             std::sqrt(0.8) / others,
                             0,
                             0,
                             0};
  for (int i = 0; i < 9; ++i) EXPECT_NEAR(soft.softened.data<float>()[i], softened[i], 1e-6) << i;
}

TEST(TeachersTargets, GetTheAdjustmentOfTheirGroup) {
  std::vector<nn::Example> examples = {{"a", 1, "", 0}, {"b", nn::kNoLabel, "", 1}, {"c", 0, "", 0}};
  for (int i = 0; i < 6; ++i) examples.push_back({"d", 2, "", 0});
  TrainOptions options{.balance = 1, .teachers = {"t"}, .teacher_share = 1, .unlabelled_groups = {1}};
  std::vector<std::vector<float>> taught(examples.size());
  taught[0] = taught[1] = {0.2F, 0.3F, 0.5F};
  const ClassifierBatch batch = batch_of(examples, options, taught);
  // The file has labels at 2, 2 and 7 of 11, each one more than it has texts.
  const double sum = 0.2 * 2 + 0.3 * 2 + 0.5 * 7;
  const double expected[] = {0.4 / sum, 0.6 / sum, 3.5 / sum, 0.2, 0.3, 0.5};
  for (int i = 0; i < 6; ++i) EXPECT_NEAR(batch.targets.data<float>()[i], expected[i], 1e-6) << i;
  for (int i = 3; i < 6; ++i) EXPECT_EQ(batch.adjustments.data<float>()[i], 0) << "texts without labels have no shares";
}

TEST_F(Teachers, TeachTextsWithoutLabels) {
  options_.teachers = {teacher("a", 1)};
  options_.teacher_temperature = 2;
  for (nn::Example& example : examples_) {
    if (example.group == 1) example.label = nn::kNoLabel;
  }
  // A sixth of the texts has labels, all wrong, and no teacher.
  for (nn::Example& example : examples_) {
    if (example.group == 0) example.label = 0;
  }
  options_.unlabelled_groups = {1};
  options_.teacher_groups = {{1}};
  options_.extra_groups = {0};
  options_.extra_share = 0.1;
  EXPECT_THROW(train_classifier(examples_, options_, folder_.path() / "m"), ValueError) << "no group of full size";
  options_.extra_groups = {};
  options_.epochs = 15;
  examples_.erase(examples_.begin() + 10, examples_.begin() + 60);
  train_classifier(examples_, options_, folder_.path() / "m");
  int same = 0;
  for (size_t i = 10; i < examples_.size(); ++i) {
    const auto label_of = [&](const char* name) {
      return nn::TextClassifier::load(folder_.path() / name)->predict(std::vector{examples_[i].text})[0].label;
    };
    same += label_of("a") == label_of("m") ? 1 : 0;
  }
  EXPECT_GE(same, 55) << "of 60";
}

TEST_F(Teachers, AnEpochTakesAShareOfTheUnlabelledTexts) {
  options_.unlabelled_groups = {1};
  options_.unlabelled_share = 0.25;
  std::vector<std::string> pieces(std::begin(nn::kSpecialTokens), std::end(nn::kSpecialTokens));
  const ClassifierSampler sampler(encode_examples(examples_, nn::Tokenizer(pieces), nullptr), options_);
  EXPECT_EQ(sampler.size(), 75U);
  EXPECT_EQ(sampler.dataset_size(), 120U);
  EXPECT_NE(sampler.indices(0), sampler.indices(1));
  EXPECT_NE(sampler.description().find("15 of 60 unlabelled ones"), std::string::npos);
}

TEST_F(Teachers, RefusesTextsThatNothingTeaches) {
  options_.unlabelled_groups = {1};
  const auto refusal = [&] {
    return qing::test::message_of<ValueError>([&] { train_classifier(examples_, options_, folder_.path() / "m"); });
  };
  EXPECT_NE(refusal().find("group 1 have neither labels nor a teacher"), std::string::npos) << refusal();
  options_.teachers = {folder_.path() / "a"};
  options_.teacher_groups = {{0}};
  EXPECT_NE(refusal().find("group 1 have neither labels nor a teacher"), std::string::npos) << refusal();
  options_.teacher_groups = {{}, {}};
  EXPECT_NE(refusal().find("2 lists for 1 teachers"), std::string::npos) << refusal();
  options_.teacher_groups = {};
  EXPECT_NE(refusal().find("but its group 1 has none"), std::string::npos) << refusal();
}

TEST(UnlabelledTexts, AreReadFromLinesAndColumns) {
  const qing::test::TempFolder folder;
  const auto texts_of = [&](const char* name, const char* content) {
    std::ofstream(folder.path() / name, std::ios::binary) << content;
    std::string all;
    for (const nn::Example& example : nn::read_unlabelled(folder.path() / name)) {
      EXPECT_EQ(example.label, nn::kNoLabel);
      all += example.text + "|";
    }
    return all;
  };
  EXPECT_EQ(texts_of("a.txt", "one line\r\n\n  \nlabel\ttwo\n"), "one line|label\ttwo|");
  EXPECT_EQ(texts_of("b.tsv", "text\tother\none\t1\ntwo\t2\n"), "one|two|");
  EXPECT_EQ(texts_of("c.csv", "label,text\nunknown,\"a, b\"\n"), "a, b|");
  EXPECT_EQ(texts_of("d.jsonl", "{\"text\": \"x\"}\n"), "x|");
  EXPECT_THROW(texts_of("e.txt", "\n\n"), DataError);
  EXPECT_THROW(texts_of("f.tsv", "words\none\n"), DataError);
}

}  // namespace
}  // namespace qing::optim
