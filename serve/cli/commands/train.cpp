// `qing train`.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <tuple>

#include <qing/nn/models/classifier_config.h>
#include <qing/nn/models/label_names.h>
#include <qing/optim/classifier/train_classifier.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/training_command.h>
#include <qing/serve/cli/training_session.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/reports/charts.h>
#include <qing/serve/reports/model_card.h>
#include <qing/serve/runs/calibrate.h>
#include <qing/serve/runs/data_files.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/serve/runs/metrics_log.h>
#include <qing/serve/runs/run_directory.h>
#include <qing/serve/runs/teacher_files.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/threads.h>

namespace qing::serve::cli {
namespace {

struct TrainArguments : TrainingArguments {
  std::vector<std::filesystem::path> extra, unlabelled;
  std::filesystem::path teacher_cache = {};
};

// In the order of their groups.
std::vector<std::filesystem::path> training_files(const TrainArguments& arguments) {
  std::vector<std::filesystem::path> files = arguments.data;
  for (const auto* more : {&arguments.extra, &arguments.unlabelled})
    files.insert(files.end(), more->begin(), more->end());
  return files;
}

optim::TrainOptions train_options(const TrainArguments& arguments) {
  optim::TrainOptions options = arguments.options;
  for (size_t i = 0; i < arguments.extra.size(); ++i) {
    options.extra_groups.push_back(static_cast<int32_t>(arguments.data.size() + i));  // as take_examples numbers them
  }
  for (size_t i = 0; i < arguments.unlabelled.size(); ++i) {
    options.unlabelled_groups.push_back(static_cast<int32_t>(arguments.data.size() + arguments.extra.size() + i));
  }
  const std::vector<std::filesystem::path> files = training_files(arguments);
  resolve_teachers(options, files);
  for (const int32_t group : options.unlabelled_groups) {
    if (optim::has_teacher(options, group)) continue;
    throw UsageError(
        fmt::format("--unlabelled {}: its texts have no label and no teacher; add --teacher FOLDER, or "
                    "--teacher FOLDER={}",
                    files[static_cast<size_t>(group)].string(), files[static_cast<size_t>(group)].string()));
  }
  return options;
}

void check(const TrainArguments& arguments) {
  check_training(arguments);
  const auto& labels = arguments.options.labels;
  try {
    nn::check_label_names(labels);
  } catch (const ValueError& error) { throw UsageError(fmt::format("--{}", error.what())); }
  if (labels.size() < 2) throw UsageError("--labels: give at least two labels, separated by commas");
}

double evaluate_on_dev(TrainingSession& session, const std::vector<LabelledFile>& dev,
                       const std::filesystem::path& folder, const optim::Progress& progress) {
  const auto model = nn::TextClassifier::load(folder);
  std::vector<DevScore> scores;
  double mean = 0;
  for (const LabelledFile& file : dev) {
    const nn::ConfusionMatrix all = evaluate(*model, file.examples).all;
    scores.push_back({file.name, all.accuracy(), all.macro_recall(), all.macro_f1()});
    mean += all.macro_recall() / static_cast<double>(dev.size());
    session.print_scores(progress, file.name,
                         fmt::format("accuracy {:.4f}, macro recall {:.4f}, macro F1 {:.4f} ({} texts)", all.accuracy(),
                                     all.macro_recall(), all.macro_f1(), all.total()));
  }
  return session.add_evaluation(progress, scores, mean);
}

optim::TrainResult train(const TrainArguments& arguments, const optim::TrainOptions& options, const RunDirectory& run,
                         const std::vector<nn::Example>& examples, const std::vector<LabelledFile>& dev) {
  TrainingSession session(arguments, run);
  const optim::TeacherOptions teachers{
      .cache = arguments.teacher_cache.empty() ? run.path("teachers.safetensors") : arguments.teacher_cache,
      .on_progress = [&](const optim::TeacherProgress& now) {
        session.display().show(now);
        if (!session.interrupted()) return;
        session.display().end_line();
        throw Error("stopped while the teachers were asked; --resume asks again from the file of texts that was begun");
      }};
  TrainingSession::Evaluate evaluate;
  if (!dev.empty()) {
    evaluate = [&](const std::filesystem::path& model, const optim::Progress& progress) {
      return evaluate_on_dev(session, dev, model, progress);
    };
  }
  return session.run(
      [&](const optim::OnProgress& on_progress, const optim::RunOptions& run_options) {
        return optim::train_classifier(examples, options, arguments.out, on_progress, {}, run_options, teachers);
      },
      evaluate);
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
  const optim::TrainOptions options = train_options(arguments);
  std::vector<std::filesystem::path> all = training_files(arguments);
  all.insert(all.end(), arguments.dev.begin(), arguments.dev.end());
  SkippedRows skipped;
  const nn::DatasetOptions rows = dataset_options(arguments.table, skipped);
  std::vector<LabelledFile> data = read_labelled(arguments.data, all, arguments.options.labels, rows);
  const std::vector<LabelledFile> dev = read_labelled(arguments.dev, all, arguments.options.labels, rows);
  std::vector<LabelledFile> extra = read_labelled(arguments.extra, all, arguments.options.labels, rows);
  std::vector<LabelledFile> unlabelled = read_unlabelled_files(arguments.unlabelled, all, rows);
  skipped.report();
  RunRecord record{.command = arguments.command,
                   .settings = arguments.settings,
                   .data = files_of(data),
                   .extra = files_of(extra),
                   .dev = files_of(dev),
                   .unlabelled = files_of(unlabelled),
                   .teachers = teacher_files(options.teachers)};
  for (auto* more : {&extra, &unlabelled}) std::move(more->begin(), more->end(), std::back_inserter(data));
  const std::vector<nn::Example> examples = take_examples(data);
  warn_of_overlap(examples, dev);

  RunDirectory run(arguments.out, std::move(record), begin_of(arguments));
  // The file may lie in the folder that was just made.
  if (!arguments.teacher_cache.empty() && !options.teachers.empty()) check_teacher_cache(arguments.teacher_cache);
  say_where_it_begins(arguments, run, examples.size());
  const optim::TrainResult result = train(arguments, options, run, examples, dev);
  const Calibration calibration = write_reports(run, result, examples, arguments.data.size(), dev);
  run.write_state(result.interrupted ? "interrupted" : "finished", result.steps);
  report(arguments, result, [&](JsonWriter& json) {
    if (calibration.texts == 0) return;
    json.member("calibration_temperature", calibration.temperature).member("calibration_texts", calibration.texts);
  });
}

}  // namespace

void add_train(CommandLine& line) {
  const auto a = std::make_shared<TrainArguments>();
  CLI::App* command = line.app.add_subcommand("train", "Train a text classifier on labelled texts");
  add_file_option(*command, "--data", a->data,
                  "Training data: labelled texts (.tsv, .csv, .jsonl, .json, .xlsx, fastText's .txt). Required. Repeat "
                  "it for several files");
  add_file_option(*command, "--dev", a->dev,
                  "Dev set. With it the best model is kept, without it the last. Repeat it for several files");
  add_file_option(
      *command, "--extra", a->extra,
      "Auxiliary training data. Each epoch takes a fraction of it (--extra-share). Labels that a file lacks do not "
      "compete for its texts. Repeat it for several files");
  add_file_option(*command, "--unlabelled", a->unlabelled,
                  "Texts without labels (.txt with a text per line, or a table), whose targets are the predictions of "
                  "--teacher alone. Repeat it for several files");
  add_table_options(*command, a->table, true);
  add_training_options(*command, *a, optim::OptionUse::train, "mean macro-recall");
  command
      ->add_option("--teacher-cache", a->teacher_cache,
                   "File of the teachers' predictions, which several trainings may share. Without it each training has "
                   "its own, run/teachers.safetensors")
      ->type_name("FILE")
      ->group(optim::rows::kTeachers);
  command->callback([&line, command, a] {
    read_configs(*command, *a);
    line.run = [a] { run_train(*a); };
  });
}

}  // namespace qing::serve::cli
