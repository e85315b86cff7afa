// The recipes on several ranks: the same files for any number of ranks, with every option that changes the loss.
#include <gtest/gtest.h>
#include <qing/optim/classifier/train_classifier.h>
#include <qing/optim/parallel/thread_ranks.h>
#include <qing/optim/pretraining/pretrain.h>
#include <qing/optim/training/chunked_batch.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "nn/temp_folder.h"
#include "optim/labelled_things.h"
#include "optim/parallel_ranks.h"

namespace qing::optim {
namespace {

namespace fs = std::filesystem;

class ParallelRecipes : public ::testing::Test {
 protected:
  ParallelRecipes() {
    for (int i = 0; i < 90; ++i) {
      examples_.push_back({test::labelled_thing(i) + std::string(static_cast<size_t>(i) % 9, 'x'), i % 3, "", i % 2});
      texts_.push_back(examples_.back().text + " and more of " + test::labelled_thing(i + 1));
    }
    options_ = {.layers = 1, .width = 32, .batch = 24, .vocab = 200, .epochs = 1, .lr = 5e-3};
  }

  using Train = std::function<TrainResult(const fs::path& out, const RunOptions& run)>;
  // The weights that some ranks train. Every rank but the first must leave the disk alone.
  std::string train(int ranks, const Train& recipe, RunOptions run = {}) {
    const fs::path out = folder_.path() / ("m" + std::to_string(trainings_++));
    run_thread_ranks(ranks, [&](Communicator& rank) {
      RunOptions own = run;
      own.ranks = &rank;
      recipe(rank.is_first() ? out : fs::path("/nowhere/at/all"), own);
    });
    return read_file(out / "model.safetensors");
  }
  Train classifier(const TeacherOptions& teachers = {}) {
    return [this, teachers](const fs::path& out, const RunOptions& run) {
      return train_classifier(examples_, options_, out, {}, {}, run, teachers);
    };
  }
  void expect_the_same_bits(const Train& recipe, const char* what) {
    EXPECT_EQ(train(1, recipe), train(3, recipe)) << what;
  }

  qing::test::TempFolder folder_;
  std::vector<nn::Example> examples_;
  std::vector<std::string> texts_;
  TrainOptions options_;
  int trainings_ = 0;
};

TEST_F(ParallelRecipes, EveryOptionOfTheLossGivesTheSameBits) {
  const TrainOptions plain = options_;
  expect_the_same_bits(classifier(), "plain");
  options_ = plain;
  options_.ngram_min_texts = 2, options_.word_dropout = 0.2, options_.ema = 0.9;
  expect_the_same_bits(classifier(), "n-grams");
  options_ = plain;
  options_.label_smoothing = 0.1, options_.balance = 1, options_.consistency = 1;
  expect_the_same_bits(classifier(), "smoothed");
  options_ = plain;
  options_.gradient_checkpointing = 1, options_.layer_decay = 0.8, options_.layers = 2;
  expect_the_same_bits(classifier(), "checkpointing");
  options_ = plain;
  options_.precision = DType::bf16, options_.chunks = 5;
  expect_the_same_bits(classifier(), "bf16");
}

TEST_F(ParallelRecipes, TeachersAreAskedOnRank0) {
  train_classifier(examples_, options_, folder_.path() / "teacher");
  options_.teachers = {folder_.path() / "teacher"};
  options_.teacher_temperature = 2;
  int asked = 0;
  TeacherOptions teachers;
  teachers.on_progress = [&](const TeacherProgress& now) { asked += now.texts == now.all ? 1 : 0; };
  const std::string one = train(1, classifier(teachers)), three = train(3, classifier(teachers));
  EXPECT_EQ(one, three);
  EXPECT_EQ(asked, 2);
}

TEST_F(ParallelRecipes, PretrainingGivesTheSameBits) {
  expect_the_same_bits(
      [this](const fs::path& out, const RunOptions& run) { return pretrain(texts_, options_, out, {}, {}, run); },
      "pretraining");
}

TEST_F(ParallelRecipes, AStopOfAnyRankEndsAllAndOtherRanksGoOn) {
  options_.epochs = 3;
  options_.ema = 0.9;
  const std::string expected = train(2, classifier());
  RunOptions run;
  run.checkpoints = folder_.path() / "checkpoints";
  int64_t steps = 0;
  const Train stopped = [&](const fs::path& out, const RunOptions& own) {
    const bool first = own.ranks->is_first();
    const TrainResult result = train_classifier(
        examples_, options_, out, [&](const Progress& now) { return first || now.step < 5; }, {}, own);
    EXPECT_TRUE(result.interrupted);
    EXPECT_EQ(result.steps, 5);
    if (first) steps = result.steps;
    return result;
  };
  train(4, stopped, run);
  EXPECT_EQ(steps, 5);
  EXPECT_EQ(train(3, classifier(), run), expected);
}

TEST_F(ParallelRecipes, TheEvaluationsOfRank0EndTheTrainingOfAll) {
  options_.epochs = 6;
  RunOptions run;
  run.last = folder_.path() / "last";
  run.patience = 2;
  int evaluations = 0;
  run.evaluate = [&](const fs::path&, const Progress&) { return 1.0 / ++evaluations; };
  const Train recipe = [&](const fs::path& out, const RunOptions& own) {
    const TrainResult result = classifier()(out, own);
    EXPECT_TRUE(result.early_stopped);
    EXPECT_EQ(result.epochs, 3);
    return result;
  };
  train(3, recipe, run);
  EXPECT_EQ(evaluations, 3);
}

TEST_F(ParallelRecipes, FastReduceDependsOnTheRanks) {
  const std::string slow = train(2, classifier());
  options_.fast_reduce = 1;
  const std::string two = train(2, classifier()), again = train(2, classifier()), three = train(3, classifier());
  EXPECT_NE(two, slow);
  EXPECT_EQ(two, again);
  EXPECT_NE(two, three);
}

TEST_F(ParallelRecipes, ChunksAreChecked) {
  options_.chunks = 2;
  EXPECT_THROW(train(3, classifier()), ValueError);
  options_.fast_reduce = 1;
  EXPECT_THROW(train(2, classifier()), ValueError);
}

TEST(ChunkedBatch, WeighsTextsByTheirShareOfTheLoss) {
  Generator rng(3), of_chunk;
  const std::vector<int64_t> tokens = {4, 4, 2, 6, 8, 8}, weights = {1, 0, 1, 2, 4, 8};
  std::vector<std::pair<int64_t, int64_t>> texts;
  std::set<std::pair<uint64_t, uint64_t>> generators;
  const ChunkedBatch batch =
      chunked_batch(tokens, weights, 4, rng, of_chunk, [&](int64_t first, int64_t last, Generator& own) {
        texts.emplace_back(first, last);
        generators.emplace(own.seed(), own.stream());
        return Tensor();
      });
  ASSERT_EQ(batch.chunks.size(), 4u);
  double weight = 0;
  int64_t cost = 0;
  for (const training::BatchChunk& chunk : batch.chunks) weight += chunk.weight, cost += chunk.cost;
  EXPECT_DOUBLE_EQ(weight, 1);
  EXPECT_EQ(cost, 32);
  for (int chunk = 0; chunk < 4; ++chunk) batch.loss(chunk);
  EXPECT_EQ(texts, (std::vector<std::pair<int64_t, int64_t>>{{0, 2}, {2, 4}, {4, 5}, {5, 6}}));
  EXPECT_EQ(generators.size(), 4u);
  EXPECT_DOUBLE_EQ(batch.chunks[1].weight, 3.0 / 16);
}

TEST(ParallelTrainer, OptionsThatDoNotFitAreRefused) {
  Generator rng(1);
  WordModel model(rng);
  AdamW adamw(model.parameters(), {});
  SoleRank sole;
  training::DataParallel parallel(model, adamw, sole);
  LossSource source{.has_next = [] { return true; }, .next = [] { return Tensor(); }};
  TrainerOptions options{.max_steps = 1, .parallel = &parallel};
  EXPECT_THROW(Trainer(model, adamw, source, options), ValueError);
  source.next_chunks = [] { return ChunkedBatch(); };
  EXPECT_NO_THROW(Trainer(model, adamw, source, options));
  options.accumulate = 2;
  EXPECT_THROW(Trainer(model, adamw, source, options), ValueError);
}

}  // namespace
}  // namespace qing::optim
