// `qing pretrain`.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <qing/optim/pretraining/pretrain.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/interrupt.h>
#include <qing/serve/cli/progress.h>
#include <qing/serve/cli/training_command.h>
#include <qing/serve/reports/charts.h>
#include <qing/serve/runs/metrics_log.h>
#include <qing/tensor/files.h>
#include <qing/tensor/threads.h>

namespace qing::serve::cli {
namespace {

std::vector<std::string> texts_of(const std::vector<nn::Example>& examples) {
  std::vector<std::string> texts;
  for (const nn::Example& example : examples) texts.push_back(example.text);
  return texts;
}

// One run. Its progress is shown on the terminal and appended to the metrics.
class Pretraining {
 public:
  Pretraining(const TrainingArguments& arguments, const std::vector<LabelledFile>& dev, RunDirectory& run)
      : arguments_(arguments), dev_(dev), run_(run), log_(run.path("metrics.jsonl"), run.resumed_step()) {
    for (const EvaluationPoint& point : read_metrics(run.path("metrics.jsonl")).evaluations) {
      best_ = std::max(best_, point.score);
    }
  }

  optim::TrainResult train(const std::vector<std::string>& texts) {
    optim::RunOptions options = run_options(arguments_, run_);
    if (!dev_.empty()) {
      options.evaluate = [this](const std::filesystem::path& model, const optim::Progress& progress) {
        return evaluate_on_dev(model, progress);
      };
    }
    const InterruptGuard guard(kInterruptNotice);
    const auto on_progress = [&](const optim::Progress& progress) {
      display_.show(progress);
      log_.add_step(progress);
      return !guard.interrupted();
    };
    const optim::TrainResult result =
        optim::pretrain(texts, arguments_.options, arguments_.out, on_progress, {}, options);
    display_.end_line();
    return result;
  }

 private:
  double evaluate_on_dev(const std::filesystem::path& folder, const optim::Progress& progress) {
    display_.end_line();
    std::vector<MaskedDevScore> scores;
    double mean = 0;
    for (const LabelledFile& dev : dev_) {
      const optim::MaskedScore score = optim::evaluate_masked_lm(folder, texts_of(dev.examples), arguments_.options);
      scores.push_back({dev.name, score.loss, std::exp(score.loss), score.accuracy});
      mean += score.loss / static_cast<double>(dev_.size());
      fmt::print(stderr, "epoch {}/{}, step {}: {}: perplexity {:.2f}, accuracy {:.4f} ({} masked tokens)\n",
                 progress.epoch, progress.epochs, progress.step, dev.name, std::exp(score.loss), score.accuracy,
                 score.tokens);
    }
    log_.add_evaluation(progress, scores, -mean, -mean > best_);
    best_ = std::max(best_, -mean);
    return -mean;
  }

  const TrainingArguments& arguments_;
  const std::vector<LabelledFile>& dev_;
  RunDirectory& run_;
  MetricsLog log_;
  ProgressDisplay display_;
  double best_ = -std::numeric_limits<double>::infinity();
};

// Trains a model into the folder `out`, as `qing train` does.
void run_pretrain(const TrainingArguments& arguments) {
  check_training(arguments);
  if (arguments.threads > 0) set_num_threads(static_cast<int>(arguments.threads));
  std::vector<std::filesystem::path> all = arguments.data;
  all.insert(all.end(), arguments.dev.begin(), arguments.dev.end());
  std::vector<LabelledFile> data = read_unlabelled_files(arguments.data, all);
  const std::vector<LabelledFile> dev = read_unlabelled_files(arguments.dev, all);
  RunRecord record{.command = arguments.command,
                   .settings = arguments.settings,
                   .data = files_of(data),
                   .extra = {},
                   .dev = files_of(dev),
                   .unlabelled = {},
                   .teachers = {}};
  const std::vector<nn::Example> examples = take_examples(data);
  warn_of_overlap(examples, dev);

  RunDirectory run(arguments.out, std::move(record), begin_of(arguments));
  say_where_it_begins(arguments, run, examples.size());
  const optim::TrainResult result = Pretraining(arguments, dev, run).train(texts_of(examples));
  write_file_atomically(run.path("loss.svg"), loss_chart(read_metrics(run.path("metrics.jsonl"))));
  run.write_state(result.interrupted ? "interrupted" : "finished", result.steps);
  report(arguments, result);
}

}  // namespace

void add_pretrain(CommandLine& line) {
  const auto a = std::make_shared<TrainingArguments>();
  CLI::App* command = line.app.add_subcommand(
      "pretrain", "Pretrain an encoder on texts without labels, as a masked language model, for qing train --from");
  add_file_option(*command, "--data", a->data,
                  "Training data: texts (.txt with a text per line, .tsv, .csv, .jsonl). Required. Repeat it for "
                  "several files");
  add_file_option(*command, "--dev", a->dev,
                  "Dev set: texts. With it the best model is kept, without it the last. Repeat it for several files");
  add_training_options(*command, *a, optim::OptionUse::pretrain, "mean loss");
  command->callback([&line, command, a] {
    read_configs(*command, *a);
    line.run = [a] { run_pretrain(*a); };
  });
}

}  // namespace qing::serve::cli
