// One training of a classifier by `qing train`: its arguments, its texts and its course.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/optim/classifier/train_classifier.h>
#include <qing/serve/cli/training_command.h>
#include <qing/serve/runs/data_files.h>
#include <qing/serve/runs/dev_scores.h>
#include <qing/serve/runs/run_directory.h>

namespace qing::serve::cli {

inline constexpr double kDevShare = 0.1;

struct TrainArguments : TrainingArguments {
  std::vector<std::filesystem::path> extra, unlabelled;
  std::filesystem::path teacher_cache = {};
  std::filesystem::path token_cache = {};  ///< empty: texts are read into memory
  std::vector<std::string> map;            ///< rules of nn::LabelMap
  double dev_share = kDevShare;            ///< of --data, without --dev
  bool dev_share_given = false;            ///< by the command line or a file of options
  std::string best = {};                   ///< empty: the first of measures_of()
  bool problem_given = false;  ///< --multi-label, --ordinal or --regression, by the command line or a file of options
  double tune = 0;             ///< minutes; 0: no search
};

/// What a classifier learns from and is measured on.
struct TrainingTexts {
  std::vector<nn::Example> examples;  ///< or some of them, if there is a stream
  std::vector<LabelledFile> dev;
  std::optional<optim::StreamedTexts> stream = {};  ///< texts that stay on the disk

  size_t count() const { return stream ? stream->tokens->texts() : examples.size(); }
};

/// --data, --extra and --unlabelled, in the order of their groups.
std::vector<std::filesystem::path> training_files(const TrainArguments& arguments);
/// The options with their groups and teachers. UsageError for texts with neither labels nor a teacher, and for a
/// teacher of a file that is not trained on.
optim::TrainOptions train_options(const TrainArguments& arguments);
/// Where the teachers' predictions are kept.
std::filesystem::path teacher_cache_of(const TrainArguments& arguments, const RunDirectory& run);

/// train_classifier() of the texts, from memory or from the disk.
optim::TrainResult train_on(const TrainingTexts& texts, const optim::TrainOptions& options,
                            const std::filesystem::path& out, const optim::OnProgress& on_progress,
                            const optim::RunOptions& run, const optim::TeacherOptions& teachers = {});

/// "accuracy 0.9, macro recall 0.8, macro F1 0.8, loss 0.3 (90 texts)" for each dev set, in their order.
std::vector<std::string> texts_of_scores(const std::vector<DevScore>& scores, const std::vector<LabelledFile>& dev);

/// Trains into the folder of the run, with the other ranks if `ranks` is not null. The first Ctrl-C ends the training
/// at a checkpoint. Errors of train_classifier().
optim::TrainResult train_run(const TrainArguments& arguments, const optim::TrainOptions& options,
                             const RunDirectory& run, const TrainingTexts& texts, optim::Communicator* ranks);

}  // namespace qing::serve::cli
