// `qing train --task translation`: pairs of texts, the training of a translation model, its scores and its card.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <qing/optim/translation/train_translation.h>
#include <qing/serve/tasks/task_training.h>
#include <qing/serve/tasks/translation/pair_files.h>
#include <qing/serve/tasks/translation/translation_arguments.h>

namespace qing::serve::translation {

class TranslationTraining final : public TaskTraining {
 public:
  /// Reads the files, and holds pairs out where no dev set is given, by a hash of each pair's document. Errors of
  /// read_pairs().
  TranslationTraining(TaskData data, TranslationArguments arguments);

  std::string about() const override;
  std::vector<cli::DataFile> data_files() const override;
  std::vector<cli::DataFile> dev_files() const override;
  bool has_dev() const override { return !dev_.empty(); }
  optim::TrainResult train(const std::filesystem::path& out, const optim::OnProgress& on_progress,
                           const optim::RunOptions& run) override;
  /// Chosen by is the loss: BLEU jumps about where few sentences are translated.
  std::vector<cli::SetScores> evaluate(const std::filesystem::path& folder) override;
  void write_card(const std::filesystem::path& folder, const TaskFacts& facts) override;

 private:
  void hold_out();
  void tell(const std::string& line) const;

  const TaskData data_;
  const TranslationArguments arguments_;
  std::vector<PairFile> files_, dev_;
  std::vector<optim::TranslationPair> pairs_;
};

class TranslationRecipe final : public TaskRecipe {
 public:
  std::vector<TaskOption> options() override;
  std::unique_ptr<TaskTraining> read(TaskData data) override;

 private:
  TranslationArguments arguments_;
};

}  // namespace qing::serve::translation
