// `qing train`.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <tuple>
#include <unordered_set>

#include <qing/nn/models/classifier_config.h>
#include <qing/nn/models/label_names.h>
#include <qing/optim/classifier/train_classifier.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/config_file.h>
#include <qing/serve/cli/interrupt.h>
#include <qing/serve/cli/number_from.h>
#include <qing/serve/cli/progress.h>
#include <qing/serve/cli/train_option_lines.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>
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

struct TrainArguments {
  std::vector<std::filesystem::path> data, extra, dev;
  optim::TrainOptions options = {};        ///< but for extra_groups, which follow from `extra`
  int64_t eval_every = 0, early_stop = 0;  ///< steps, evaluations
  int64_t checkpoint_every = 0;            ///< steps
  int64_t threads = 0;                     ///< 0: as many as the engine chooses
  std::filesystem::path out;
  bool resume = false, overwrite = false, json = false;
  Settings settings = {};  ///< all of the above that a configuration file may hold
};

constexpr const char* kInterruptNotice =
    "\nqing: stopping: the checkpoint and the model will be written after this step; Ctrl-C again stops at once\n";

int64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;  // Linux reports KiB
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
    throw UsageError("--early-stop needs --dev: texts that show whether the model still improves");
  }
  if (arguments.dev.empty() && arguments.eval_every > 0) {
    throw UsageError("--eval-every needs --dev: texts to evaluate on");
  }
  if (arguments.resume && arguments.overwrite) {
    throw UsageError("--resume continues a training and --overwrite replaces it; give one of them");
  }
  std::error_code absent;
  if (!arguments.options.from.empty() && std::filesystem::equivalent(arguments.options.from, arguments.out, absent)) {
    throw UsageError("--from is the folder of --out; give another --out");
  }
  const auto& labels = arguments.options.labels;
  try {
    nn::check_label_names(labels);
  } catch (const ValueError& error) { throw UsageError(fmt::format("--{}", error.what())); }
  if (labels.size() < 2) throw UsageError("--labels: give at least two labels, separated by commas");
}

// Scores on texts that were also trained on are too high, so the user is warned.
void warn_of_overlap(const std::vector<nn::Example>& examples, const std::vector<LabelledFile>& sets) {
  std::unordered_set<std::string_view> seen;
  for (const nn::Example& example : examples) seen.insert(example.text);
  for (const LabelledFile& dev : sets) {
    int64_t shared = 0;
    for (const nn::Example& example : dev.examples) shared += static_cast<int64_t>(seen.count(example.text));
    if (shared == 0) continue;
    fmt::print(stderr, "qing: warning: {} of {} texts of {} are also in --data; scores on them are too high\n", shared,
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
    fmt::print(stderr, "the training in {} is already finished\n", run.out().string());
    return;
  }
  if (run.resumed_step() > 0) {
    fmt::print(stderr, "resuming after step {} of the training in {}\n", run.resumed_step(), run.out().string());
  } else if (arguments.resume) {
    fmt::print(stderr, "nothing to resume in {}; starting a new training\n", run.out().string());
  }
  const std::string model =
      arguments.options.from.empty()
          ? fmt::format("{} layers of width {}", arguments.options.layers, arguments.options.width)
          : fmt::format("from {}", arguments.options.from.string());
  fmt::print(stderr, "training on {} texts of {} {}, {}\n", texts, arguments.data.size(),
             arguments.data.size() == 1 ? "file" : "files", model);
}

// One training run. Its progress is shown on the terminal and appended to the metrics.
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
    optim::TrainResult result =
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
    fmt::print(stderr,
               "interrupted after step {} of {}; the model is in {}. To continue: qing train --resume --out {}\n",
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
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("tokens_per_second", result.tokens_per_second);
  json.member("peak_rss_bytes", peak_rss_bytes()).member("loss", result.loss).member("steps", result.steps);
  json.member("epochs", result.epochs).member("seconds", result.seconds).member("interrupted", result.interrupted);
  json.member("early_stopped", result.early_stopped).member("resumed_from", result.resumed_from);
  if (calibration.texts > 0) {
    json.member("calibration_temperature", calibration.temperature).member("calibration_texts", calibration.texts);
  }
  json.member("model", out).end();
  print_line(json.take());
}

// The profile of predictions that drift is measured against. It is computed on the dev sets. Without dev sets it is
// computed on a sample of the training texts.
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
  fmt::print(stderr, "temperature {:.4g}, fitted to {} dev texts, {} of them misclassified\n", calibration.temperature,
             calibration.texts, calibration.wrong);
  const std::string warning = calibration_warning(calibration);
  if (!warning.empty()) fmt::print(stderr, "qing: warning: {}\n", warning);
}

// Returns the calibration of the model.
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

// Trains a model into the folder `out` and shows progress on stderr. run_directory.h lists the other files of the
// folder. The first Ctrl-C saves a checkpoint and the model and exits with 0. The second kills the process.
void run_train(const TrainArguments& arguments) {
  check(arguments);
  if (arguments.threads > 0) set_num_threads(static_cast<int>(arguments.threads));
  std::vector<std::filesystem::path> all = arguments.data;
  for (const auto* more : {&arguments.extra, &arguments.dev}) all.insert(all.end(), more->begin(), more->end());
  std::vector<LabelledFile> data = read_labelled(arguments.data, all, arguments.options.labels);
  const std::vector<LabelledFile> dev = read_labelled(arguments.dev, all, arguments.options.labels);
  std::vector<LabelledFile> extra = read_labelled(arguments.extra, all, arguments.options.labels);
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

// Reads the options of the file, and those of the training to resume. The command line overrides both.
void read_configs(CLI::App& command, const std::filesystem::path& file, const TrainArguments& a) {
  if (!file.empty()) read_config(command, file);
  const auto recorded = a.resume && !a.out.empty() ? recorded_config(a.out) : std::nullopt;
  if (recorded) read_config(command, *recorded);
  for (const char* option : {"--data", "--out"}) {
    if (command.count(option) == 0) throw UsageError(std::string(option) + " is missing; see qing train --help");
  }
}

}  // namespace

void add_train(CommandLine& line) {
  const auto a = std::make_shared<TrainArguments>();
  const auto config = std::make_shared<std::filesystem::path>();
  CLI::App* command = line.app.add_subcommand("train", "Train a text classifier on labelled texts");
  const auto add_files = [&](const char* name, std::vector<std::filesystem::path>& files, const char* about) {
    command->add_option(name, files, about)->allow_extra_args(false)->type_name("FILE")->group("Files");
  };
  add_files("--data", a->data,
            "Training data: labelled texts (.tsv, .csv, .jsonl). Required. Repeat it for several files");
  add_files("--dev", a->dev,
            "Dev set. With it the best model is kept, without it the last. Repeat it for several files");
  add_files(
      "--extra", a->extra,
      "Auxiliary training data. Each epoch takes a fraction of it (--extra-share). Labels that a file lacks do not "
      "compete for its texts. Repeat it for several files");
  command->add_option("--out", a->out, "Output folder of the model. Required")->type_name("FOLDER")->group("Files");
  command->add_option("--config", *config, "Configuration file (TOML), such as DIR/run/config.toml")
      ->configurable(false)
      ->type_name("FILE")
      ->group("Files");
  add_train_options(command, a->options);
  const auto add_count = [&](const char* name, int64_t& value, double most, const char* about) {
    command->add_option(name, value, about)->check(number_from(0, most))->capture_default_str()->group("Run");
  };
  add_count("--eval-every", a->eval_every, 1e15, "Evaluation interval in steps. 0 means every epoch");
  add_count("--early-stop", a->early_stop, 1e15,
            "Early stopping: number of evaluations without a better mean macro-recall over --dev. 0 disables it");
  add_count("--checkpoint-every", a->checkpoint_every, 1e15, "Checkpoint interval in steps. 0 means every epoch");
  add_count("--threads", a->threads, 1024,
            "Number of threads. 0 means QING_THREADS, else OMP_NUM_THREADS, else all CPUs of the process");
  const auto add_flag = [&](const char* name, bool& value, const char* about) {
    command->add_flag(name, value, about)->configurable(false)->group("Run");
  };
  add_flag("--resume", a->resume, "Resume the training in --out. Its options need not be given again");
  add_flag("--overwrite", a->overwrite, "Replace an unfinished training in --out");
  add_flag("--json", a->json, "Print the result as a JSON object on stdout");
  command->callback([&line, command, a, config] {
    read_configs(*command, *config, *a);
    a->settings = settings_of(*command);
    line.run = [a] { run_train(*a); };
  });
}

}  // namespace qing::serve::cli
