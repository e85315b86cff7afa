#include <qing/optim/classifier/train_classifier.h>

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include <qing/nn/models/text_classifier.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

#include "nn/temp_folder.h"

namespace qing::optim {
namespace {

namespace fs = std::filesystem;

class TrainClassifier : public ::testing::Test {
 protected:
  TrainClassifier() : folder_(fs::temp_directory_path() / ("qing-train-" + std::to_string(getpid()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    const char* things[] = {"film", "phone", "book", "lamp", "电影", "手机"};
    for (int i = 0; i < 240; ++i) {
      const std::string thing = things[i % 6];
      const int32_t label = i % 3;
      const char* words[] = {"bad bad", "is here", "good good"};
      examples_.push_back({thing + " " + words[label] + " " + std::to_string(i % 7), label, ""});
    }
    options_ = {.layers = 1, .width = 32, .batch = 16, .vocab = 200, .epochs = 1, .lr = 5e-3};
  }
  ~TrainClassifier() override {
    set_num_threads(threads_);
    fs::remove_all(folder_);
  }

  static std::string bytes(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  fs::path folder_;
  std::vector<nn::Example> examples_;
  TrainOptions options_;
  int threads_ = num_threads();
};

TEST_F(TrainClassifier, LearnsAndReportsProgress) {
  options_.epochs = 20;
  std::vector<Progress> seen;
  std::vector<int64_t> epochs;
  const TrainResult result = train_classifier(
      examples_, options_, folder_ / "m", [&](const Progress& p) { return seen.push_back(p), true; },
      [&](int64_t epoch) { epochs.push_back(epoch); });
  EXPECT_EQ(result.steps, 300);
  EXPECT_EQ(result.epochs, 20);
  EXPECT_FALSE(result.interrupted);
  EXPECT_EQ(seen.size(), 300u);
  EXPECT_EQ(seen.back().texts, 20 * 240);
  EXPECT_EQ(seen.back().seconds_left, 0);
  EXPECT_GT(seen.back().tokens_per_second, 0);
  EXPECT_EQ(epochs.size(), 20u);
  EXPECT_EQ(epochs.back(), 20);
  EXPECT_LT(result.loss, 0.1);
  const auto model = nn::TextClassifier::load(folder_ / "m");
  const std::vector<std::string> texts = {"book good good", "lamp bad bad", "电影 is here"};
  const auto predictions = model->predict(texts);
  EXPECT_EQ(predictions[0].label, 2);
  EXPECT_EQ(predictions[1].label, 0);
  EXPECT_EQ(predictions[2].label, 1);
}

// Without n-grams so narrow an encoder, which begins with BERT's weights, may stay where two of the three labels look
// alike.
TEST_F(TrainClassifier, LearnsAFewTexts) {
  std::vector<nn::Example> examples;
  for (const std::string thing : {"film", "book", "phone", "lamp", "chair", "song", "car", "meal"}) {
    examples.push_back({"I hate this " + thing, 0, ""});
    examples.push_back({"what a terrible " + thing, 0, ""});
    examples.push_back({"on the table is a " + thing, 1, ""});
    examples.push_back({"this is a red " + thing, 1, ""});
    examples.push_back({"I love this " + thing, 2, ""});
    examples.push_back({"what a wonderful " + thing, 2, ""});
  }
  std::vector<std::string> texts;
  for (const nn::Example& example : examples) texts.push_back(example.text);
  for (const uint64_t seed : {1, 2, 4, 42}) {
    const TrainOptions options{.layers = 1,
                               .width = 32,
                               .batch = 8,
                               .vocab = 200,
                               .epochs = 40,
                               .lr = 3e-3,
                               .ngram_min_texts = 2,
                               .seed = seed};
    train_classifier(examples, options, folder_ / "m");
    const auto predictions = nn::TextClassifier::load(folder_ / "m")->predict(texts);
    for (size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(predictions[i].label, examples[i].label) << texts[i] << ", seed " << seed;
    }
  }
}

TEST_F(TrainClassifier, TenStepsGiveTheSameBitsForOneAndTwoThreads) {
  options_.max_steps = 10;
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    train_classifier(examples_, options_, folder_ / std::to_string(threads));
  }
  const std::string one = bytes(folder_ / "1" / "model.safetensors");
  EXPECT_GT(one.size(), 10000u);
  EXPECT_EQ(one, bytes(folder_ / "2" / "model.safetensors"));
  options_.seed = 43;
  train_classifier(examples_, options_, folder_ / "other");
  EXPECT_NE(one, bytes(folder_ / "other" / "model.safetensors"));
}

TEST_F(TrainClassifier, InBf16TooTheBitsAreThoseOfAnyNumberOfThreadsButNotThoseOfF32) {
  options_.max_steps = 10;
  options_.precision = DType::bf16;
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    train_classifier(examples_, options_, folder_ / std::to_string(threads));
  }
  const std::string one = bytes(folder_ / "1" / "model.safetensors");
  EXPECT_EQ(one, bytes(folder_ / "2" / "model.safetensors"));
  options_.precision = DType::f32;
  train_classifier(examples_, options_, folder_ / "f32");
  EXPECT_NE(one, bytes(folder_ / "f32" / "model.safetensors"));
  options_.precision = DType::f64;
  EXPECT_THROW(train_classifier(examples_, options_, folder_ / "f64"), DTypeError);
}

TEST_F(TrainClassifier, TheOptimizerHasTheOptionsOfAdam) {
  const AdamWOptions adamw = TrainOptions{.adam_beta2 = 0.98, .adam_epsilon = 1e-6}.adamw();
  EXPECT_EQ(adamw.beta2, 0.98);
  EXPECT_EQ(adamw.eps, 1e-6);
  options_.max_steps = 5;
  const auto weights_with = [&](double beta2, double epsilon) {
    options_.adam_beta2 = beta2;
    options_.adam_epsilon = epsilon;
    train_classifier(examples_, options_, folder_ / "m");
    return bytes(folder_ / "m" / "model.safetensors");
  };
  const std::string plain = weights_with(0.999, 1e-8);
  EXPECT_EQ(weights_with(0.999, 1e-8), plain);
  EXPECT_NE(weights_with(0.98, 1e-8), plain);
  EXPECT_NE(weights_with(0.999, 1e-6), plain);
}

TEST_F(TrainClassifier, NamesTheExampleWhoseTextIsNotUtf8) {
  examples_[7].text = "good\xFF film";
  EXPECT_EQ(test::message_of<ValueError>([&] { train_classifier(examples_, options_, folder_ / "m"); }),
            "train_classifier: the text of example 7 is not UTF-8 at byte 4; encode it as UTF-8");
}

TEST_F(TrainClassifier, StopsWhenToldAndSaves) {
  const TrainResult result =
      train_classifier(examples_, options_, folder_ / "m", [](const Progress& p) { return p.step < 3; });
  EXPECT_TRUE(result.interrupted);
  EXPECT_EQ(result.steps, 3);
  EXPECT_EQ(result.epochs, 0);
  EXPECT_NO_THROW(nn::TextClassifier::load(folder_ / "m"));
}

TEST_F(TrainClassifier, ResumesFromItsCheckpointToTheSameBits) {
  options_.epochs = 3;  // of 15 steps
  train_classifier(examples_, options_, folder_ / "whole");
  const RunOptions run{.checkpoints = folder_ / "checkpoints", .checkpoint_every = 4};
  int64_t resumed_from = 0, texts = 0;
  for (const int64_t stop : {5, 15, 16, 40}) {  // within an epoch, at its end, just after it, in the last epoch
    set_num_threads(stop % 2 == 0 ? 2 : 1);
    const auto until = [&](const Progress& p) {
      texts = p.texts;
      return p.step < stop;
    };
    const TrainResult result = train_classifier(examples_, options_, folder_ / "parts", until, {}, run);
    EXPECT_TRUE(result.interrupted);
    EXPECT_EQ(result.steps, stop);
    EXPECT_EQ(result.resumed_from, resumed_from);
    EXPECT_EQ(texts, stop * 16);
    EXPECT_NE(bytes(folder_ / "parts" / "model.safetensors"), bytes(folder_ / "whole" / "model.safetensors"));
    resumed_from = stop;
  }
  // The last process is killed: training resumes from the previous checkpoint.
  EXPECT_THROW(train_classifier(
                   examples_, options_, folder_ / "parts",
                   [](const Progress& p) -> bool { return p.step < 43 ? true : throw IoError("dies"); }, {}, run),
               IoError);
  const TrainResult result = train_classifier(examples_, options_, folder_ / "parts", {}, {}, run);
  EXPECT_FALSE(result.interrupted);
  EXPECT_EQ(result.resumed_from, 40);
  EXPECT_EQ(result.steps, 45);
  const std::string weights = bytes(folder_ / "whole" / "model.safetensors");
  EXPECT_EQ(bytes(folder_ / "parts" / "model.safetensors"), weights);

  // Nothing is left to train, but the model is written again.
  fs::remove(folder_ / "parts" / "model.safetensors");
  EXPECT_EQ(train_classifier(examples_, options_, folder_ / "parts", {}, {}, run).tokens_per_second, 0);
  EXPECT_EQ(bytes(folder_ / "parts" / "model.safetensors"), weights);

  examples_.pop_back();
  EXPECT_THROW(train_classifier(examples_, options_, folder_ / "parts", {}, {}, run), DataError);
}

TEST_F(TrainClassifier, WithEveryPartOfTheRecipeToo) {
  for (size_t i = 0; i < examples_.size(); ++i) examples_[i].group = i < 160 ? 0 : 1;
  options_.extra_groups = {1};
  options_.extra_share = 0.5;  // 160 + 40 texts an epoch
  options_.epochs = 3;
  options_.word_dropout = 0.1;
  options_.balance = 1;
  options_.ema = 0.9;
  options_.ngram_min_texts = 2;
  options_.label_smoothing = 0.1;
  options_.consistency = 0.5;
  EXPECT_EQ(train_classifier(examples_, options_, folder_ / "whole").steps, 3 * 13);
  const RunOptions run{.checkpoints = folder_ / "checkpoints", .checkpoint_every = 4};
  for (const int64_t stop : {5, 16}) {
    set_num_threads(stop % 2 == 0 ? 2 : 1);
    const auto until = [&](const Progress& p) { return p.step < stop; };
    EXPECT_TRUE(train_classifier(examples_, options_, folder_ / "parts", until, {}, run).interrupted);
  }
  train_classifier(examples_, options_, folder_ / "parts", {}, {}, run);
  for (const char* file : {"model.safetensors", "ngrams.safetensors"}) {
    EXPECT_EQ(bytes(folder_ / "parts" / file), bytes(folder_ / "whole" / file)) << file;
  }

  // The n-grams of the file contribute to the predictions.
  const std::vector<std::string> texts = {"film good good 1"};
  const auto with = nn::TextClassifier::load(folder_ / "whole")->predict(texts);
  EXPECT_EQ(with[0].label, 2);
  options_.ngram_min_texts = 0;
  train_classifier(examples_, options_, folder_ / "whole");
  EXPECT_NO_THROW(nn::TextClassifier::load(folder_ / "whole")) << "a stale ngrams.safetensors is left alone";
}

TEST_F(TrainClassifier, LearnsFromTeachersRatherThanFromTheLabels) {
  options_.epochs = 20;
  train_classifier(examples_, options_, folder_ / "teacher");
  std::vector<std::string> texts;
  for (nn::Example& example : examples_) {
    texts.push_back(example.text);
    example.label = 0;  // no longer true
  }
  options_.teachers = {folder_ / "teacher", folder_ / "teacher"};
  options_.teacher_share = 1;
  options_.seed = 7;
  train_classifier(examples_, options_, folder_ / "student");
  const auto taught = nn::TextClassifier::load(folder_ / "teacher")->predict(texts);
  const auto learnt = nn::TextClassifier::load(folder_ / "student")->predict(texts);
  int same = 0;
  for (size_t i = 0; i < texts.size(); ++i) same += taught[i].label == learnt[i].label ? 1 : 0;
  EXPECT_GE(same, 230) << "of 240";

  options_.labels = {"no", "so", "yes"};
  EXPECT_THROW(train_classifier(examples_, options_, folder_ / "other"), ValueError);
  options_.teachers = {folder_ / "nothing"};
  EXPECT_THROW(train_classifier(examples_, options_, folder_ / "other"), IoError);
}

TEST_F(TrainClassifier, ConsistencyBringsTwoDrawsOfDropoutTogether) {
  // The loss of a step is the mean loss of two draws plus the term for their difference.
  const auto first_loss = [&](double dropout, double consistency) {
    TrainOptions options = options_;
    options.max_steps = 1;
    options.dropout = dropout;
    options.consistency = consistency;
    return train_classifier(examples_, options, folder_ / "m").loss;
  };
  EXPECT_NEAR(first_loss(0, 100), first_loss(0, 0), 1e-6) << "nothing differs without dropout";
  const double once = first_loss(0.5, 1e-9), more = first_loss(0.5, 100) - once;
  EXPECT_GT(more, 1e-3);
  EXPECT_NEAR(first_loss(0.5, 300) - once, 3 * more, 0.01 * more);
}

TEST_F(TrainClassifier, TheAverageOfTheWeightsIsTheModel) {
  train_classifier(examples_, options_, folder_ / "plain");
  options_.ema = 0.99;
  train_classifier(examples_, options_, folder_ / "average");
  EXPECT_NE(bytes(folder_ / "plain" / "model.safetensors"), bytes(folder_ / "average" / "model.safetensors"));
  // With evaluation it is the same model.
  std::string evaluated;
  const RunOptions run{.evaluate =
                           [&](const fs::path& model, const Progress&) {
                             evaluated = bytes(model / "model.safetensors");
                             return 1.0;
                           },
                       .last = folder_ / "last"};
  train_classifier(examples_, options_, folder_ / "evaluated", {}, {}, run);
  EXPECT_EQ(evaluated, bytes(folder_ / "average" / "model.safetensors"));
}

TEST_F(TrainClassifier, KeepsTheBestModelAndTheLast) {
  options_.epochs = 2;  // of 15 steps
  const double scores[] = {0.5, 0.7, 0.6, 0.7};
  std::vector<int64_t> steps;
  std::vector<std::string> evaluated;
  RunOptions run{.checkpoints = folder_ / "checkpoints", .evaluate_every = 8, .last = folder_ / "last"};
  run.evaluate = [&](const fs::path& model, const Progress& p) {
    steps.push_back(p.step);
    evaluated.push_back(bytes(model / "model.safetensors"));
    return scores[steps.size() - 1];
  };
  const auto until = [&](int64_t step) {
    return train_classifier(
        examples_, options_, folder_ / "m", [=](const Progress& p) { return p.step < step; }, {}, run);
  };
  until(5);  // without an evaluation yet the last model is kept
  EXPECT_EQ(bytes(folder_ / "m" / "model.safetensors"), bytes(folder_ / "last" / "model.safetensors"));
  until(18);
  EXPECT_EQ(steps, (std::vector<int64_t>{8, 16}));
  EXPECT_EQ(bytes(folder_ / "m" / "model.safetensors"), evaluated[1]);
  EXPECT_NE(bytes(folder_ / "last" / "model.safetensors"), evaluated[1]);
  until(1000);
  EXPECT_EQ(steps, (std::vector<int64_t>{8, 16, 24, 30}));
  EXPECT_EQ(bytes(folder_ / "m" / "model.safetensors"), evaluated[1]);
  EXPECT_EQ(bytes(folder_ / "last" / "model.safetensors"), evaluated[3]);
  until(1000);
  EXPECT_EQ(bytes(folder_ / "m" / "model.safetensors"), evaluated[1]);
  run.last.clear();
  EXPECT_THROW(until(1000), ValueError);
}

TEST_F(TrainClassifier, StopsEarlyWhenNothingImproves) {
  options_.epochs = 50;
  RunOptions run{.patience = 2, .last = folder_ / "last"};
  run.evaluate = [&](const fs::path&, const Progress& p) { return p.epoch == 3 ? 0.9 : 0.8; };
  const TrainResult result = train_classifier(examples_, options_, folder_ / "m", {}, {}, run);
  EXPECT_TRUE(result.early_stopped);
  EXPECT_FALSE(result.interrupted);
  EXPECT_EQ(result.epochs, 5);
  EXPECT_EQ(result.total_steps, 750);
}

TEST_F(TrainClassifier, HasTheLabelsItIsGiven) {
  options_.labels = {"no", "unsure", "yes", "never seen"};
  options_.max_steps = 1;
  train_classifier(examples_, options_, folder_ / "m");
  EXPECT_EQ(nn::TextClassifier::load(folder_ / "m")->labels(), options_.labels);
}

TEST_F(TrainClassifier, RefusesLabelsThatDoNotFitUpFront) {
  const auto refusal = [&](std::vector<std::string> labels, int32_t label) {
    options_.labels = std::move(labels);
    examples_.back().label = label;
    try {
      train_classifier(examples_, options_, folder_ / "m");
    } catch (const ValueError& error) { return std::string(error.what()); }
    return std::string("nothing was thrown");
  };
  EXPECT_NE(refusal({"a", "b", "c"}, 3).find("example 239 has label 3"), std::string::npos);
  EXPECT_NE(refusal({"a", "b", "c"}, -1).find("example 239 has label -1"), std::string::npos);
  EXPECT_NE(refusal({"a", "b"}, 0).find("has label 2"), std::string::npos);
  EXPECT_NE(refusal({"a"}, 0).find("there must be at least 2"), std::string::npos);
  EXPECT_NE(refusal({"a", "b", "a"}, 0).find("'a' is the name of labels 0 and 2"), std::string::npos);
  EXPECT_NE(refusal({"a", "", "b"}, 0).find("label 1 is ''"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "m"));
}

TEST_F(TrainClassifier, RefusesBadOptions) {
  EXPECT_THROW(train_classifier({}, options_, folder_ / "m"), ValueError);
  auto options = options_;
  options.batch = 0;
  EXPECT_THROW(train_classifier(examples_, options, folder_ / "m"), ValueError);
  options = options_;
  options.heads = 5;
  EXPECT_THROW(train_classifier(examples_, options, folder_ / "m"), ValueError);
  options = options_;
  options.dropout = 1;
  EXPECT_THROW(train_classifier(examples_, options, folder_ / "m"), ValueError);
  const auto expect = [&](const char* what, const auto& change) {
    auto changed = options_;
    change(changed);
    try {
      train_classifier(examples_, changed, folder_ / "m");
      ADD_FAILURE() << what;
    } catch (const ValueError& error) {
      EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
    }
  };
  expect("vocab", [](auto& o) { o.vocab = (int64_t{1} << 32) + 100; });
  expect("width", [](auto& o) { o.width = int64_t{1} << 62; });
  expect("max_length", [](auto& o) { o.max_length = (int64_t{1} << 32) + 4; });
  expect("epochs", [](auto& o) { o.epochs = std::numeric_limits<int64_t>::max(); });
  expect("batch", [](auto& o) { o.batch = std::numeric_limits<int64_t>::max(); });
  expect("word_dropout", [](auto& o) { o.word_dropout = 1; });
  expect("ngram_dropout", [](auto& o) { o.ngram_dropout = -0.1; });
  expect("ngram_min_texts", [](auto& o) { o.ngram_min_texts = -1; });
  expect("ema", [](auto& o) { o.ema = 1; });
  expect("balance", [](auto& o) { o.balance = std::numeric_limits<double>::quiet_NaN(); });
  expect("extra_share", [](auto& o) { o.extra_share = 1.1; });
  expect("teacher_share", [](auto& o) { o.teacher_share = -0.1; });
  expect("label_smoothing", [](auto& o) { o.label_smoothing = 1; });
  expect("consistency", [](auto& o) { o.consistency = -1; });
  expect("extra groups", [](auto& o) { o.extra_groups = {0}; });
  examples_[1].group = -1;
  expect("example 1 is of group -1", [](auto&) {});
  examples_[1].group = 0;
  options = options_;
  options.warmup = 2;
  EXPECT_THROW(train_classifier(examples_, options, folder_ / "m"), ValueError);
  EXPECT_FALSE(fs::exists(folder_ / "m"));
}

TEST_F(TrainClassifier, NamesAFolderItCannotWrite) {
  std::ofstream(folder_ / "file") << "x";
  options_.max_steps = 1;
  try {
    train_classifier(examples_, options_, folder_ / "file" / "m");
    FAIL();
  } catch (const IoError& error) { EXPECT_NE(std::string(error.what()).find("file"), std::string::npos); }
}

}  // namespace
}  // namespace qing::optim
