// `qing pretrain`.
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <qing/optim/pretraining/pretrain.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/task_driver.h>
#include <qing/serve/cli/training_command.h>
#include <qing/serve/cli/training_ranks.h>
#include <qing/serve/reports/pretraining_card.h>

namespace qing::serve::cli {
namespace {

std::vector<std::string> texts_of(const std::vector<nn::Example>& examples) {
  std::vector<std::string> texts;
  texts.reserve(examples.size());
  for (const nn::Example& example : examples) texts.push_back(example.text);
  return texts;
}

class Pretraining final : public TaskTraining {
 public:
  Pretraining(const TrainingArguments& arguments, bool speaks) : arguments_(arguments) {
    std::vector<std::filesystem::path> all = arguments.data;
    all.insert(all.end(), arguments.dev.begin(), arguments.dev.end());
    SkippedRows skipped;
    nn::DatasetOptions rows = dataset_options(arguments.table, skipped);
    if (!speaks) rows = silent(std::move(rows));
    std::vector<LabelledFile> data = read_unlabelled_files(arguments.data, all, rows);
    dev_ = read_unlabelled_files(arguments.dev, all, rows);
    skipped.report();
    files_ = files_of(data);
    const std::vector<nn::Example> examples = take_examples(data);
    texts_ = texts_of(examples);
    if (speaks) warn_of_overlap(examples, dev_);
  }

  std::string about() const override { return about_texts(arguments_, texts_.size()); }
  std::vector<DataFile> data_files() const override { return files_; }
  std::vector<DataFile> dev_files() const override { return files_of(dev_); }
  bool has_dev() const override { return !dev_.empty(); }

  optim::TrainResult train(const std::filesystem::path& out, const optim::OnProgress& on_progress,
                           const optim::RunOptions& run) override {
    return optim::pretrain(texts_, arguments_.options, out, on_progress, {}, run);
  }

  std::vector<SetScores> evaluate(const std::filesystem::path& folder) override {
    std::vector<SetScores> scores;
    for (const LabelledFile& file : dev_) {
      const optim::MaskedScore score = optim::evaluate_masked_lm(folder, texts_of(file.examples), arguments_.options);
      const double perplexity = std::exp(score.loss);
      scores.push_back({.name = file.name,
                        .score = -score.loss,
                        .values = {{"loss", score.loss}, {"perplexity", perplexity}, {"accuracy", score.accuracy}},
                        .text = fmt::format("perplexity {:.2f}, accuracy {:.4f} ({} masked tokens)", perplexity,
                                            score.accuracy, score.tokens)});
    }
    return scores;
  }

  void write_card(const std::filesystem::path& folder, const TaskFacts& facts) override {
    write_pretraining_card(
        folder, {.record = facts.record, .result = facts.result, .best_step = facts.best_step, .dev = facts.dev});
  }

 private:
  const TrainingArguments& arguments_;
  std::vector<DataFile> files_;
  std::vector<LabelledFile> dev_;
  std::vector<std::string> texts_;
};

void run_pretrain(TrainingArguments& arguments, optim::Communicator* ranks) {
  arguments.evaluates = !arguments.dev.empty();
  check_evaluations(arguments);  // before the texts are read
  run_training(
      arguments, [&](bool speaks) { return std::make_unique<Pretraining>(arguments, speaks); }, ranks);
}

}  // namespace

void add_pretrain(CommandLine& line) {
  const auto a = std::make_shared<TrainingArguments>();
  CLI::App* command = line.app.add_subcommand(
      "pretrain", "Pretrain an encoder on texts without labels, as a masked language model, for qing train --from");
  add_file_option(*command, "--data", a->data,
                  "Training data: texts (.txt with a text per line, or a table). Required. Repeat it for several "
                  "files");
  add_file_option(*command, "--dev", a->dev,
                  "Dev set: texts. With it the best model is kept, without it the last. Repeat it for several files");
  add_table_options(*command, a->table, false);
  add_training_options(*command, *a, optim::OptionUse::pretraining, "mean loss");
  command->callback([&line, command, a] {
    read_configs(*command, *a);
    line.run = [a] { with_ranks(a->threads, [&](optim::Communicator* ranks) { run_pretrain(*a, ranks); }); };
  });
}

}  // namespace qing::serve::cli
