#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/nn/models/trainable_classifier.h>
#include <qing/optim/classifier/finetune.h>
#include <qing/optim/optimizer.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/ops/compare.h>

#include "nn/temp_folder.h"
#include "optim/labelled_things.h"

namespace qing::optim {
namespace {

class Finetune : public ::testing::Test {
 protected:
  Finetune() {
    for (int i = 0; i < 96; ++i) examples_.push_back({test::labelled_thing(i), i % 3, ""});
    const TrainOptions options{.layers = 1, .width = 32, .batch = 16, .vocab = 200, .lr = 5e-3, .ngram_min_texts = 2};
    train_classifier(examples_, options, base());
  }
  std::filesystem::path base() const { return folder_.path() / "base"; }
  int right(const std::filesystem::path& model) const {
    std::vector<std::string> texts;
    for (const nn::Example& example : examples_) texts.push_back(example.text);
    const auto predictions = nn::TextClassifier::load(model)->predict(texts);
    int count = 0;
    for (size_t i = 0; i < examples_.size(); ++i) count += predictions[i].label == examples_[i].label;
    return count;
  }

  qing::test::TempFolder folder_;
  std::vector<nn::Example> examples_;
};

TEST_F(Finetune, GoesOnFromTheFoldersModel) {
  const TrainOptions options = fine_tuning_options(base());
  EXPECT_EQ(options.labels, (std::vector<std::string>{"negative", "neutral", "positive"}));
  EXPECT_DOUBLE_EQ(options.lr, 5e-4) << "a narrow encoder";
  const TrainResult result = finetune(base(), examples_, folder_.path() / "tuned");
  EXPECT_EQ(result.steps, 9) << "3 epochs of 3 batches";
  TrainOptions more = options;
  more.lr = 5e-3;
  more.epochs = 12;
  finetune(base(), examples_, folder_.path() / "more", more);
  EXPECT_EQ(right(folder_.path() / "more"), 96);
  EXPECT_THROW(finetune(folder_.path() / "nowhere", examples_, folder_.path() / "out"), IoError);
}

TEST_F(Finetune, ASavedClassifierIsTrainedInALoopOfOnesOwn) {
  const auto model = nn::TrainableClassifier::load(base());
  EXPECT_TRUE(model->training());
  EXPECT_NE(model->ngrams(), nullptr);
  std::vector<std::string> texts;
  std::vector<int64_t> labels;
  for (int i = 0; i < 48; ++i) texts.push_back(examples_[i].text), labels.push_back(examples_[i].label);
  const Tensor targets = Tensor::from<int64_t>(std::span<const int64_t>(labels), {48});
  AdamW adamw(model->parameters(), {.lr = 5e-3});
  Generator rng(1);
  double loss = 0;
  for (int step = 0; step < 30; ++step) {
    adamw.zero_grad();
    const Tensor now = cross_entropy((*model)(texts, &rng), targets);
    backward(now);
    adamw.step();
    loss = now.item();
  }
  EXPECT_LT(loss, 0.1);
  model->save(folder_.path() / "own");
  EXPECT_EQ(right(folder_.path() / "own"), 96);
  model->eval();
  const NoGradGuard no_grad;
  const std::vector<std::string> one = {texts[0]};
  const auto logits = nn::TextClassifier::load(folder_.path() / "own")->predict(one)[0].logits;
  for (int i = 0; i < 3; ++i)
    EXPECT_NEAR((*model)(one).at({0, i}), logits[static_cast<size_t>(i)], 2e-2) << "f16 n-grams";
  EXPECT_THROW(model->forward({}), ValueError);
  const std::vector<std::string> broken = {"fine", "\xff"};
  EXPECT_THROW(model->forward(broken), DataError);
}

}  // namespace
}  // namespace qing::optim
