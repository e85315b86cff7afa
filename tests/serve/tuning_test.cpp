// What surrounds the training of a classifier: held-out dev sets, measures, and the search for options.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <qing/serve/runs/dev_scores.h>
#include <qing/serve/runs/held_out.h>
#include <qing/serve/runs/run_record.h>
#include <qing/serve/runs/tuning.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace {

LabelledFile file_of(const std::vector<nn::Example>& examples, size_t labels) {
  LabelledFile file{"a.tsv", {"a.tsv", "", {}, 0}, examples};
  file.file.label_texts.resize(labels);
  for (const nn::Example& example : examples) ++file.file.label_texts[static_cast<size_t>(example.label)];
  return file;
}

std::vector<std::string> texts_of(const std::vector<nn::Example>& examples) {
  std::vector<std::string> texts;
  for (const nn::Example& example : examples) texts.push_back(example.text);
  std::ranges::sort(texts);
  return texts;
}

TEST(HeldOut, IsTheSameInEveryOrderAndHoldsEqualTextsTogether) {
  std::vector<nn::Example> examples;
  for (int i = 0; i < 1000; ++i) examples.push_back({"text " + std::to_string(i % 400), i % 2, "", 0});
  std::vector<LabelledFile> files = {file_of(examples, 2)};
  const auto held = hold_out(files, 0.2);
  ASSERT_TRUE(held);
  EXPECT_NEAR(static_cast<double>(held->examples.size()), 200, 60);
  EXPECT_EQ(held->examples.size() + files[0].examples.size(), 1000U);
  EXPECT_EQ(held->file.texts() + files[0].file.texts(), 1000);
  EXPECT_EQ(held->file.texts(), std::ssize(held->examples));
  EXPECT_EQ(held->file.sha256.size(), 64U);
  const std::vector<std::string> chosen = texts_of(held->examples);
  for (const nn::Example& example : files[0].examples) {
    EXPECT_FALSE(std::ranges::binary_search(chosen, example.text)) << example.text;
  }
  std::ranges::reverse(examples);
  std::vector<LabelledFile> reversed = {file_of(examples, 2)};
  EXPECT_EQ(texts_of(hold_out(reversed, 0.2)->examples), chosen);
}

TEST(HeldOut, LeavesEveryLabelTextsToTrainOn) {
  std::vector<nn::Example> examples;
  for (int i = 0; i < 400; ++i) examples.push_back({"text " + std::to_string(i), 0, "", 0});
  std::string rare;  // a text that would be held out
  for (int i = 0; rare.empty(); ++i) {
    if (nn::held_by_hash("rare " + std::to_string(i), 10)) rare = "rare " + std::to_string(i);
  }
  examples.push_back({rare, 1, "", 0});
  std::vector<LabelledFile> files = {file_of(examples, 2)};
  const auto held = hold_out(files, 0.1);
  ASSERT_TRUE(held);
  EXPECT_EQ(held->file.label_texts[1], 0);
  EXPECT_EQ(files[0].file.label_texts[1], 1);
  EXPECT_EQ(files[0].examples.back().text, rare);
  EXPECT_FALSE(hold_out(files, 0));
}

TEST(Measures, CompareMeansOverSets) {
  const std::vector<DevScore> sets = {{"a", 0.9, 0.8, 0.7, 0.5}, {"b", 0.5, 0.4, 0.3, 0.1}};
  EXPECT_DOUBLE_EQ(measure_of("accuracy").score(sets), 0.7);
  EXPECT_DOUBLE_EQ(measure_of("macro_recall").score(sets), 0.6);
  EXPECT_DOUBLE_EQ(measure_of("macro_f1").score(sets), 0.5);
  EXPECT_DOUBLE_EQ(measure_of("loss").score(sets), -0.3) << "less is better";
  EXPECT_DOUBLE_EQ(measure_of("loss").value_of(-0.3), 0.3);
  EXPECT_EQ(measures().front().name, "macro_recall");
  EXPECT_THROW(measure_of("luck"), ValueError);
}

TEST(Tuning, TrialsAreDrawnFromTheSeedAndNumberAlone) {
  const optim::TrainOptions options{.batch = 32, .epochs = 4, .lr = 1e-3, .dropout = 0.1};
  const Trial first = draw_trial(options, 1, 1);
  EXPECT_EQ(first.lr, options.lr);
  EXPECT_EQ(first.epochs, 4);
  EXPECT_EQ(first.batch, 32);
  EXPECT_EQ(draw_trial(options, 1, 5).lr, draw_trial(options, 1, 5).lr);
  EXPECT_NE(draw_trial(options, 1, 5).lr, draw_trial(options, 2, 5).lr);
  std::map<int64_t, int> epochs, batches;
  for (int64_t number = 2; number < 300; ++number) {
    const Trial trial = draw_trial(options, 7, number);
    EXPECT_GE(trial.lr, 0.99 * options.lr / 5);
    EXPECT_LE(trial.lr, 1.01 * options.lr * 5);
    EXPECT_GE(trial.weight_decay, 0.99e-3);
    EXPECT_LE(trial.weight_decay, 0.101);
    EXPECT_GE(trial.dropout, 0);
    EXPECT_LE(trial.dropout, 0.4);
    ++epochs[trial.epochs];
    ++batches[trial.batch];
    // The texts of the options mean the numbers that were trained with.
    Settings settings = {{.name = "lr", .values = {"1"}}, {.name = "dropout", .values = {"1"}}};
    set_trial(settings, trial);
    EXPECT_EQ(std::stod(settings[0].values[0]), trial.lr);
    EXPECT_EQ(std::stod(settings[1].values[0]), trial.dropout);
    EXPECT_NO_THROW(optim::check_option_ranges(with_trial(options, trial)));
  }
  EXPECT_EQ(epochs.size(), 3U);
  EXPECT_TRUE(epochs.contains(2) && epochs.contains(4) && epochs.contains(8));
  EXPECT_TRUE(batches.contains(16) && batches.contains(32) && batches.contains(64));
  EXPECT_GE(draw_trial({.batch = 1, .epochs = 1}, 3, 9).epochs, 1);
}

Trial trial_of(TrialEnd end, double score, std::vector<double> scores = {0}) {
  Trial trial;
  trial.end = end;
  trial.score = score;
  trial.step = 10;
  trial.scores = std::move(scores);
  return trial;
}

TEST(Tuning, TheBestTrialHasFinishedIfAnyHas) {
  std::vector<Trial> trials = {trial_of(TrialEnd::cut, 0.7), trial_of(TrialEnd::cut, 0.8)};
  EXPECT_EQ(best_trial(trials)->score, 0.8);
  trials.push_back(trial_of(TrialEnd::finished, 0.5));
  trials.push_back(trial_of(TrialEnd::hopeless, 0.9));
  trials.push_back(trial_of(TrialEnd::finished, 0.6));
  trials.push_back(trial_of(TrialEnd::finished, 0.6));
  EXPECT_EQ(best_trial(trials), &trials[4]) << "the first of equal ones that finished";
  trials = {trial_of(TrialEnd::finished, 0.5)};
  trials[0].step = 0;
  EXPECT_EQ(best_trial(trials), nullptr) << "it was not evaluated";
  EXPECT_EQ(best_trial({}), nullptr);
}

TEST(Tuning, ATrialBelowTheMedianOfItsTimeIsHopeless) {
  const std::vector<Trial> others = {trial_of(TrialEnd::finished, 0, {0.2, 0.5, 0.9}),
                                     trial_of(TrialEnd::finished, 0, {0.3, 0.4, 0.8}),
                                     trial_of(TrialEnd::finished, 0, {0.4, 0.3, 0.7})};
  EXPECT_FALSE(is_hopeless({0.3}, others));
  EXPECT_TRUE(is_hopeless({0.29}, others));
  EXPECT_FALSE(is_hopeless({0.1, 0.4}, others)) << "the best by then counts: 0.5, 0.4, 0.4";
  EXPECT_TRUE(is_hopeless({0.1, 0.39}, others));
  EXPECT_FALSE(is_hopeless({0, 0, 0, 0}, others)) << "none of the others went so far";
  EXPECT_FALSE(is_hopeless({0}, std::span(others).first(2))) << "two are no crowd";
  EXPECT_FALSE(is_hopeless({}, others));
}

RunRecord record_of(const char* epochs, const char* max_steps, const char* lr, const char* state) {
  RunRecord record;
  record.state = state;
  record.settings = {{.name = "epochs", .values = {epochs}},
                     {.name = "max-steps", .values = {max_steps}},
                     {.name = "lr", .values = {lr}}};
  return record;
}

TEST(RunRecord, AFinishedTrainingMayGetMoreEpochsAndNothingElse) {
  const RunRecord finished = record_of("2", "0", "1", "finished");
  EXPECT_TRUE(changes(finished, record_of("4", "0", "1", "running")).empty());
  EXPECT_EQ(changes(finished, record_of("1", "0", "1", "running")).size(), 1U) << "fewer epochs are another training";
  EXPECT_EQ(changes(finished, record_of("4", "0", "2", "running")).size(), 1U) << "another rate is, too";
  EXPECT_EQ(changes(record_of("2", "0", "1", "running"), record_of("4", "0", "1", "running")).size(), 1U)
      << "its schedule has not ended";
  EXPECT_TRUE(changes(record_of("2", "5", "1", "finished"), record_of("2", "9", "1", "running")).empty());
  EXPECT_TRUE(changes(record_of("2", "5", "1", "finished"), record_of("2", "0", "1", "running")).empty());
}

}  // namespace
}  // namespace qing::serve::cli
