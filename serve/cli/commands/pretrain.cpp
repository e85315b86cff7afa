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
#include <qing/serve/cli/training_command.h>
#include <qing/serve/cli/training_ranks.h>
#include <qing/serve/cli/training_session.h>
#include <qing/serve/reports/charts.h>
#include <qing/serve/reports/pretraining_card.h>
#include <qing/serve/runs/metrics_log.h>
#include <qing/tensor/files.h>
#include <qing/tensor/threads.h>

namespace qing::serve::cli {
namespace {

std::vector<std::string> texts_of(const std::vector<nn::Example>& examples) {
  std::vector<std::string> texts;
  texts.reserve(examples.size());
  for (const nn::Example& example : examples) texts.push_back(example.text);
  return texts;
}

MaskedDevScore dev_score(const std::string& name, const optim::MaskedScore& score) {
  return {name, score.loss, std::exp(score.loss), score.accuracy};
}

double evaluate_on_dev(TrainingSession& session, const TrainingArguments& arguments,
                       const std::vector<LabelledFile>& dev, const std::filesystem::path& folder,
                       const optim::Progress& progress) {
  std::vector<MaskedDevScore> scores;
  double mean = 0;
  for (const LabelledFile& file : dev) {
    const optim::MaskedScore score = optim::evaluate_masked_lm(folder, texts_of(file.examples), arguments.options);
    scores.push_back(dev_score(file.name, score));
    mean += score.loss / static_cast<double>(dev.size());
    session.print_scores(progress, file.name,
                         fmt::format("perplexity {:.2f}, accuracy {:.4f} ({} masked tokens)", scores.back().perplexity,
                                     score.accuracy, score.tokens));
  }
  return session.add_evaluation(progress, scores, -mean);
}

// The chart and the card.
void write_reports(const TrainingArguments& arguments, const RunDirectory& run, const optim::TrainResult& result,
                   const std::vector<LabelledFile>& dev) {
  const Metrics metrics = read_metrics(run.path("metrics.jsonl"));
  write_file_atomically(run.path("loss.svg"), loss_chart(metrics));
  PretrainingFacts facts{.record = run.record(), .result = result, .best_step = metrics.best_step(), .dev = {}};
  if (!result.interrupted) {
    for (const LabelledFile& file : dev) {
      facts.dev.push_back(
          dev_score(file.name, optim::evaluate_masked_lm(run.out(), texts_of(file.examples), arguments.options)));
    }
  }
  write_pretraining_card(run.out(), facts);
}

// Trains a model into the folder `out`, as `qing train` does.
void run_pretrain(TrainingArguments& arguments, optim::Communicator* ranks) {
  check_training(arguments);
  arguments.evaluates = !arguments.dev.empty();
  check_evaluations(arguments);
  if (arguments.threads > 0) set_num_threads(static_cast<int>(arguments.threads));
  std::vector<std::filesystem::path> all = arguments.data;
  all.insert(all.end(), arguments.dev.begin(), arguments.dev.end());
  SkippedRows skipped;
  nn::DatasetOptions rows = dataset_options(arguments.table, skipped);
  if (ranks != nullptr && !ranks->is_first()) rows = silent(std::move(rows));
  std::vector<LabelledFile> data = read_unlabelled_files(arguments.data, all, rows);
  const std::vector<LabelledFile> dev = read_unlabelled_files(arguments.dev, all, rows);
  skipped.report();
  RunRecord record{.command = arguments.command,
                   .settings = arguments.settings,
                   .data = files_of(data),
                   .extra = {},
                   .dev = files_of(dev),
                   .unlabelled = {},
                   .teachers = {}};
  const std::vector<nn::Example> examples = take_examples(data);
  const std::vector<std::string> texts = texts_of(examples);
  if (ranks != nullptr && !ranks->is_first()) {
    follow(arguments, *ranks, [&](const optim::OnProgress& on_progress, const optim::RunOptions& options) {
      return optim::pretrain(texts, arguments.options, arguments.out, on_progress, {}, options);
    });
    return;
  }
  warn_of_overlap(examples, dev);

  RunDirectory run(arguments.out, std::move(record), begin_of(arguments));
  say_where_it_begins(arguments, run, examples.size());
  TrainingSession session(arguments, run, ranks);
  TrainingSession::Evaluate evaluate;
  if (!dev.empty()) {
    evaluate = [&](const std::filesystem::path& model, const optim::Progress& progress) {
      return evaluate_on_dev(session, arguments, dev, model, progress);
    };
  }
  const optim::TrainResult result = session.run(
      [&](const optim::OnProgress& on_progress, const optim::RunOptions& options) {
        return optim::pretrain(texts, arguments.options, arguments.out, on_progress, {}, options);
      },
      evaluate);
  write_reports(arguments, run, result, dev);
  run.write_state(result.interrupted ? "interrupted" : "finished", result.steps);
  report(arguments, result, {});
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
  add_training_options(*command, *a, optim::OptionUse::pretrain, "mean loss");
  command->callback([&line, command, a] {
    read_configs(*command, *a);
    line.run = [a] { with_ranks(a->threads, [&](optim::Communicator* ranks) { run_pretrain(*a, ranks); }); };
  });
}

}  // namespace qing::serve::cli
