// `qing train --task tagging`: sentences with tags, the training of a tagger, its scores and its card.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <qing/nn/data/tagged_sentences.h>
#include <qing/optim/tagging/train_tagger.h>
#include <qing/serve/tasks/task_training.h>

namespace qing::serve::tagging {

/// Sentences of a file, or those that were held out.
struct SentenceFile {
  cli::DataFile file;
  std::string name;  ///< in reports
  std::vector<nn::TaggedSentence> sentences;
};

class TaggingTraining final : public TaskTraining {
 public:
  /// Reads the files, and holds sentences out where no dev set is given, by a hash of each sentence. IoError; DataError
  /// with file and line; UsageError when a file stands twice.
  explicit TaggingTraining(TaskData data);

  std::string about() const override;
  std::vector<cli::DataFile> data_files() const override;
  std::vector<cli::DataFile> dev_files() const override;
  bool has_dev() const override { return !dev_.empty(); }
  optim::TrainResult train(const std::filesystem::path& out, const optim::OnProgress& on_progress,
                           const optim::RunOptions& run) override;
  std::vector<cli::SetScores> evaluate(const std::filesystem::path& folder) override;
  std::string measure() const override { return "F1"; }
  void write_card(const std::filesystem::path& folder, const TaskFacts& facts) override;

 private:
  void hold_out();

  const TaskData data_;
  std::vector<SentenceFile> files_, dev_;
  std::vector<nn::TaggedSentence> sentences_;  // of all files
};

class TaggingRecipe final : public TaskRecipe {
 public:
  std::unique_ptr<TaskTraining> read(TaskData data) override;
};

}  // namespace qing::serve::tagging
