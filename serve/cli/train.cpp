// `qing train`.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <span>
#include <string_view>
#include <tuple>
#include <unordered_set>

#include <qing/nn/models/bert_config.h>
#include <qing/nn/models/label_names.h>
#include <qing/optim/classifier/train_classifier.h>
#include <qing/serve/cli/commands.h>
#include <qing/serve/cli/interrupt.h>
#include <qing/serve/cli/progress.h>
#include <qing/serve/common/output.h>
#include <qing/serve/reports/charts.h>
#include <qing/serve/reports/model_card.h>
#include <qing/serve/runs/calibrate.h>
#include <qing/serve/runs/data_files.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/serve/runs/metrics_log.h>
#include <qing/serve/runs/run_directory.h>
#include <qing/tensor/files.h>
#include <qing/tensor/threads.h>

namespace qing::serve::cli {
namespace {

constexpr const char* kInterruptNotice =
    "\nqing: stopping: the checkpoint and the model will be written after this step; once more to stop at once\n";

int64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;  // Linux counts in KiB
}

optim::TrainOptions train_options(const TrainArguments& arguments) {
  optim::TrainOptions options = arguments.options;
  for (size_t i = 0; i < arguments.extra.size(); ++i) {
    options.extra_groups.push_back(static_cast<int32_t>(arguments.data.size() + i));  // as take_examples numbers them
  }
  return options;
}

void check(const TrainArguments& arguments) {
  if (arguments.options.heads > 0 && arguments.options.width % arguments.options.heads != 0) {
    throw UsageError(fmt::format("--width {} is not a multiple of --heads {}; change either", arguments.options.width,
                                 arguments.options.heads));
  }
  if (arguments.options.heads == 0 && arguments.options.width % 32 != 0) {
    throw UsageError(fmt::format("--width {} is not a multiple of 32, the width of a head; change it or give --heads",
                                 arguments.options.width));
  }
  if (arguments.dev.empty() && arguments.early_stop > 0) {
    throw UsageError("--early-stop needs --dev: texts to tell by whether the model still improves");
  }
  if (arguments.dev.empty() && arguments.eval_every > 0) {
    throw UsageError("--eval-every needs --dev: texts to evaluate on");
  }
  if (arguments.resume && arguments.overwrite) {
    throw UsageError("--resume goes on with a training, --overwrite begins anew; give one of them");
  }
  const auto& labels = arguments.options.labels;
  try {
    nn::check_label_names(labels);
  } catch (const ValueError& error) { throw UsageError(fmt::format("--{}", error.what())); }
  if (labels.size() < 2) throw UsageError("--labels: give at least two, with commas between");
}

// A score on texts the model has learnt by heart says nothing; better told than found out.
void warn_of_overlap(const std::vector<nn::Example>& examples, const std::vector<LabelledFile>& sets) {
  std::unordered_set<std::string_view> seen;
  for (const nn::Example& example : examples) seen.insert(example.text);
  for (const LabelledFile& dev : sets) {
    int64_t shared = 0;
    for (const nn::Example& example : dev.examples) shared += static_cast<int64_t>(seen.count(example.text));
    if (shared == 0) continue;
    fmt::print(stderr, "qing: warning: {} of {} texts of {} are among those of --data; their scores flatter\n", shared,
               dev.examples.size(), dev.name);
  }
}

std::vector<DataFile> files_of(const std::vector<LabelledFile>& labelled) {
  std::vector<DataFile> files;
  for (const LabelledFile& one : labelled) files.push_back(one.file);
  return files;
}

Begin begin_of(const TrainArguments& arguments) {
  if (arguments.resume) return Begin::resume;
  return arguments.overwrite ? Begin::overwrite : Begin::anew;
}

void say_where_it_begins(const TrainArguments& arguments, const RunDirectory& run, size_t texts) {
  if (run.was_finished()) {
    fmt::print(stderr, "the training in {} had ended; nothing is left to train\n", run.out().string());
    return;
  }
  if (run.resumed_step() > 0) {
    fmt::print(stderr, "going on after step {} of the training in {}\n", run.resumed_step(), run.out().string());
  } else if (arguments.resume) {
    fmt::print(stderr, "nothing to resume in {}; beginning anew\n", run.out().string());
  }
  const std::string model =
      arguments.options.from.empty()
          ? fmt::format("{} layers of width {}", arguments.options.layers, arguments.options.width)
          : fmt::format("from {}", arguments.options.from.string());
  fmt::print(stderr, "training on {} texts of {} {}, {}\n", texts, arguments.data.size(),
             arguments.data.size() == 1 ? "file" : "files", model);
}

// One training: what it is told on the way goes to the terminal and to the metrics.
class Session {
 public:
  Session(const TrainArguments& arguments, const std::vector<LabelledFile>& dev, RunDirectory& run)
      : arguments_(arguments), dev_(dev), run_(run), log_(run.path("metrics.jsonl"), run.resumed_step()) {
    for (const EvaluationPoint& point : read_metrics(run.path("metrics.jsonl")).evaluations) {
      best_ = std::max(best_, point.score);
    }
  }

  optim::TrainResult train(const std::vector<nn::Example>& examples) {
    optim::RunOptions options{.checkpoints = run_.path("checkpoints"),
                              .checkpoint_every = arguments_.checkpoint_every,
                              .evaluate_every = arguments_.eval_every,
                              .patience = arguments_.early_stop,
                              .last = run_.path("last")};
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
        optim::train_classifier(examples, train_options(arguments_), arguments_.out, on_progress, {}, options);
    display_.end_line();
    return result;
  }

 private:
  double evaluate_on_dev(const std::filesystem::path& folder, const optim::Progress& progress) {
    display_.end_line();
    const auto model = nn::TextClassifier::load(folder);
    std::vector<DevScore> scores;
    double mean = 0;
    for (const LabelledFile& dev : dev_) {
      const nn::ConfusionMatrix all = evaluate(*model, dev.examples).all;
      scores.push_back({dev.name, all.accuracy(), all.macro_recall(), all.macro_f1()});
      mean += all.macro_recall() / static_cast<double>(dev_.size());
      fmt::print(stderr, "epoch {}/{}, step {}: {}: accuracy {:.4f}, macro recall {:.4f}, macro F1 {:.4f} ({} texts)\n",
                 progress.epoch, progress.epochs, progress.step, dev.name, all.accuracy(), all.macro_recall(),
                 all.macro_f1(), all.total());
    }
    log_.add_evaluation(progress, scores, mean, mean > best_);
    best_ = std::max(best_, mean);
    return mean;
  }

  const TrainArguments& arguments_;
  const std::vector<LabelledFile>& dev_;
  RunDirectory& run_;
  MetricsLog log_;
  ProgressDisplay display_;
  double best_ = -std::numeric_limits<double>::infinity();
};

void report(const TrainArguments& arguments, const optim::TrainResult& result, const Calibration& calibration) {
  const std::string out = arguments.out.string();
  if (result.interrupted) {
    fmt::print(stderr, "interrupted after step {} of {}; the model is in {}. To go on: qing train --resume --out {}\n",
               result.steps, result.total_steps, out, out);
  } else {
    fmt::print(stderr, "{} after step {}; the {} model is in {}\n", result.early_stopped ? "stopped early" : "done",
               result.steps, arguments.dev.empty() ? "last" : "best", out);
  }
  if (!arguments.json) {
    print_line(
        fmt::format("loss {:.4f}, {:.0f} tokens/s, {:.1f} s", result.loss, result.tokens_per_second, result.seconds));
    return;
  }
  JsonObject object;
  object.number("tokens_per_second", result.tokens_per_second).integer("peak_rss_bytes", peak_rss_bytes());
  object.number("loss", result.loss).integer("steps", result.steps).integer("epochs", result.epochs);
  object.number("seconds", result.seconds).boolean("interrupted", result.interrupted);
  object.boolean("early_stopped", result.early_stopped).integer("resumed_from", result.resumed_from);
  if (calibration.texts > 0) {
    object.number("calibration_temperature", calibration.temperature).integer("calibration_texts", calibration.texts);
  }
  print_line(object.text("model", out).str());
}

// What the model says of the texts it was made for. Those it has not learnt by heart tell better; where there are none,
// every so many of those it has, enough for shares.
nn::DataProfile profile_of(const std::filesystem::path& folder, std::span<const nn::Example> examples, size_t files,
                           const std::vector<std::pair<std::string, Evaluation>>& dev) {
  if (!dev.empty()) {
    nn::DataProfile sum = dev.front().second.profile;
    for (size_t i = 1; i < dev.size(); ++i) sum += dev[i].second.profile;
    return sum;
  }
  constexpr size_t kTexts = 10'000;
  std::vector<nn::Example> some;
  const size_t step = (examples.size() + kTexts - 1) / kTexts;
  for (size_t i = 0; i < examples.size(); i += step) {
    if (static_cast<size_t>(examples[i].group) < files) some.push_back(examples[i]);
  }
  return evaluate(*nn::TextClassifier::load(folder), some).profile;
}

void say_calibration(const Calibration& calibration) {
  fmt::print(stderr, "temperature {:.4g}, fitted to {} dev texts, {} of them wrong\n", calibration.temperature,
             calibration.texts, calibration.wrong);
  const std::string warning = calibration_warning(calibration);
  if (!warning.empty()) fmt::print(stderr, "qing: warning: {}\n", warning);
}

// Returns what the temperature rests on.
Calibration write_reports(const RunDirectory& run, const optim::TrainResult& result,
                          std::span<const nn::Example> examples, size_t files, const std::vector<LabelledFile>& dev) {
  const Metrics metrics = read_metrics(run.path("metrics.jsonl"));
  CardFacts facts{.record = run.record(), .result = result, .dev = {}, .calibration = {}};
  double best = -std::numeric_limits<double>::infinity();
  for (const EvaluationPoint& point : metrics.evaluations) {
    if (point.score > best) best = point.score, facts.best_step = point.step;
  }
  if (!result.interrupted && !dev.empty()) {
    std::tie(facts.calibration, facts.dev) = calibrate(run.out(), dev);
    say_calibration(facts.calibration);
    std::vector<std::pair<std::string, nn::ConfusionMatrix>> matrices;
    for (const auto& [name, evaluation] : facts.dev) matrices.emplace_back(name, evaluation.all);
    write_file_atomically(run.path("confusion.svg"), confusion_chart(facts.dev.front().second.labels, matrices));
  }
  if (!result.interrupted) keep_reference(run.out(), profile_of(run.out(), examples, files, facts.dev));
  write_file_atomically(run.path("loss.svg"), loss_chart(metrics));
  write_model_card(run.out(), facts);
  return facts.calibration;
}

}  // namespace

void run_train(const TrainArguments& arguments) {
  check(arguments);
  if (arguments.threads > 0) set_num_threads(static_cast<int>(arguments.threads));
  std::vector<LabelledFile> data = read_labelled(arguments.data, arguments.options.labels);
  const std::vector<LabelledFile> dev = read_labelled(arguments.dev, arguments.options.labels);
  std::vector<LabelledFile> extra = read_labelled(arguments.extra, arguments.options.labels);
  RunRecord record{
      .settings = arguments.settings, .data = files_of(data), .extra = files_of(extra), .dev = files_of(dev)};
  std::move(extra.begin(), extra.end(), std::back_inserter(data));
  const std::vector<nn::Example> examples = take_examples(data);
  warn_of_overlap(examples, dev);

  RunDirectory run(arguments.out, std::move(record), begin_of(arguments));
  say_where_it_begins(arguments, run, examples.size());
  const optim::TrainResult result = Session(arguments, dev, run).train(examples);
  const Calibration calibration = write_reports(run, result, examples, arguments.data.size(), dev);
  run.write_state(result.interrupted ? "interrupted" : "finished", result.steps);
  report(arguments, result, calibration);
}

}  // namespace qing::serve::cli
