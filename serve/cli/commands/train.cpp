// `qing train`.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include <qing/nn/models/classifier_config.h>
#include <qing/nn/models/label_names.h>
#include <qing/nn/models/pretrained.h>
#include <qing/optim/classifier/train_classifier.h>
#include <qing/serve/cli/classifier_run.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/label_options.h>
#include <qing/serve/cli/number_from.h>
#include <qing/serve/cli/option_search.h>
#include <qing/serve/cli/problem_options.h>
#include <qing/serve/cli/shipped_model.h>
#include <qing/serve/cli/streamed_data.h>
#include <qing/serve/cli/task_command.h>
#include <qing/serve/cli/training_command.h>
#include <qing/serve/cli/training_ranks.h>
#include <qing/serve/cli/training_session.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/reports/charts.h>
#include <qing/serve/reports/measured_problem.h>
#include <qing/serve/reports/model_card.h>
#include <qing/serve/runs/calibrate.h>
#include <qing/serve/runs/data_files.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/serve/runs/guessing.h>
#include <qing/serve/runs/held_out.h>
#include <qing/serve/runs/metrics_log.h>
#include <qing/serve/runs/run_directory.h>
#include <qing/serve/runs/shard_files.h>
#include <qing/serve/runs/teacher_files.h>
#include <qing/serve/runs/training_choice.h>
#include <qing/serve/runs/training_labels.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/threads.h>

namespace qing::serve::cli {
namespace {

// Whether there is a dev set is certain when the texts are read. Without one some options have no meaning.
void check_dev(TrainArguments& arguments, bool dev) {
  arguments.evaluates = dev;
  check_evaluations(arguments);
  if (arguments.tune > 0 && !dev) throw UsageError("--tune needs --dev: texts to compare the trials on");
}

void check(TrainArguments& arguments) {
  check_training(arguments);
  check_dev(arguments, !arguments.dev.empty() || arguments.dev_share > 0);
  const auto& labels = arguments.options.labels;
  try {
    nn::check_label_names(labels);
  } catch (const ValueError& error) { throw UsageError(fmt::format("--{}", error.what())); }
  const bool may_be_one = arguments.options.multi_label != 0 || arguments.options.regression != 0;
  if (labels.size() == 1 && !may_be_one) {
    throw UsageError("--labels: give at least two labels, separated by commas");
  }
}

// Without --labels the data say them, or the model to begin with.
void choose(TrainArguments& arguments, const nn::DatasetOptions& reading, bool tells) {
  const bool learned = arguments.options.labels.empty();
  const TrainingLabels chosen =
      choose_labels(arguments.data, reading, arguments.options.labels, arguments.options.from);
  if (tells) {
    for (const std::string& line : chosen.told) fmt::print(stderr, "{}\n", line);
  }
  arguments.options.labels = chosen.labels;
  set_values(arguments.settings, "labels", chosen.labels);
  order_labels(arguments, learned);
}

// Without --dev a share of --data is the dev set.
std::vector<LabelledFile> dev_of(TrainArguments& arguments, std::vector<LabelledFile>& data, bool tells) {
  const auto tell = [&](const std::string& line) {
    if (tells) fmt::print(stderr, "{}\n", line);
  };
  size_t texts = 0;
  for (const LabelledFile& file : data) texts += file.examples.size();
  if (!arguments.dev_share_given && texts < kLeastTextsToHold) {
    arguments.dev_share = 0;
    set_values(arguments.settings, "dev-share", {"0"});
    tell(fmt::format("no dev set: {} too few to hold some out unasked; give --dev or --dev-share",
                     how_many(texts, "text is", "texts are")));
  }
  if (arguments.dev_share == 0) return {};
  std::optional<LabelledFile> held = hold_out(data, arguments.dev_share);
  if (!held) {
    tell(fmt::format("no dev set: no text of {} is held out; give --dev or a greater --dev-share", texts));
    return {};
  }
  tell(fmt::format("dev set: {} of {} of --data, held out by a hash of the text (--dev-share {:g})",
                   held->examples.size(), how_many(texts, "text"), arguments.dev_share));
  std::vector<LabelledFile> dev;
  dev.push_back(*std::move(held));
  return dev;
}

// The profile of predictions that drift is measured against. It is computed on the dev sets. Without dev sets it is
// computed on a sample of the training texts.
nn::DataProfile profile_of(const std::filesystem::path& folder, std::span<const nn::Example> examples, size_t files,
                           const std::vector<nn::DataProfile>& dev) {
  if (!dev.empty()) {
    nn::DataProfile sum = dev.front();
    for (size_t i = 1; i < dev.size(); ++i) sum += dev[i];
    return sum;
  }
  constexpr size_t kTexts = 10'000;
  const auto model = nn::TextClassifier::load(folder);
  std::vector<std::string> some;
  const size_t step = (examples.size() + kTexts - 1) / kTexts;
  for (size_t i = 0; i < examples.size(); i += step) {
    if (static_cast<size_t>(examples[i].group) < files) some.push_back(examples[i].text);
  }
  nn::DataProfile profile{.labels = std::vector<int64_t>(model->labels().size())};
  profile.add(predict_all(*model, some, [](size_t i) { return fmt::format("training text {}", i + 1); }));
  return profile;
}

void say_calibration(const Calibration& calibration) {
  fmt::print(stderr, "temperature {:.4g}, fitted to {} dev texts, {} of them misclassified\n", calibration.temperature,
             calibration.texts, calibration.wrong);
  const std::string warning = calibration_warning(calibration);
  if (!warning.empty()) fmt::print(stderr, "qing: warning: {}\n", warning);
}

// Warns of a model that has learned nothing, and says what usually helps.
void warn_of_guessing(const TrainArguments& arguments, const Metrics& metrics, const TrainingTexts& texts,
                      int64_t steps) {
  const std::string guessing = no_better_than_guessing(metrics, arguments.options.problem(), texts.dev);
  if (guessing.empty()) return;
  const int64_t width = arguments.options.from.empty()
                            ? 0
                            : nn::ClassifierConfig::load(arguments.out / nn::kConfigFile).encoder.hidden_size;
  const TrainingChoice choice = training_choice(width, texts.count());
  std::string more;
  if (choice.epochs > arguments.options.epochs) more += fmt::format(" --epochs {}", choice.epochs);
  if (choice.batch < arguments.options.batch) more += fmt::format(" --batch {}", choice.batch);
  fmt::print(stderr, "qing: warning: {}. The training made {} {}; {}\n", guessing, steps, steps == 1 ? "step" : "steps",
             arguments.options.max_steps > 0 ? "try again with more --max-steps"
             : more.empty()                  ? "look at the labels with qing data, or try another --lr"
                                             : "try again with" + more);
}

// Returns the calibration of the model.
Calibration write_reports(const RunDirectory& run, const optim::TrainResult& result, const Metrics& metrics,
                          const TrainingTexts& texts, size_t files, const std::string& search, const Measure& measure) {
  CardFacts facts{.record = run.record(),
                  .result = result,
                  .best_step = metrics.best_step(),
                  .search = search,
                  .dev = {},
                  .calibration = {}};
  std::vector<nn::DataProfile> profiles;
  const nn::Problem problem = nn::ClassifierConfig::load(run.out() / nn::kConfigFile).problem;
  if (problem == nn::Problem::multi_label || problem == nn::Problem::regression) {
    facts.measured = result.interrupted ? MeasuredProblem{} : measure_problem(run, problem, texts.dev, profiles);
  } else if (!result.interrupted && !texts.dev.empty()) {
    std::tie(facts.calibration, facts.dev) = calibrate(run.out(), texts.dev);
    say_calibration(facts.calibration);
    std::vector<std::pair<std::string, nn::ConfusionMatrix>> matrices;
    for (const auto& [name, evaluation] : facts.dev) {
      matrices.emplace_back(name, evaluation.all);
      profiles.push_back(evaluation.profile);
    }
    write_file_atomically(run.path("confusion.svg"), confusion_chart(facts.dev.front().second.labels, matrices));
  }
  if (!result.interrupted) keep_reference(run.out(), profile_of(run.out(), texts.examples, files, profiles));
  write_file_atomically(run.path("loss.svg"), loss_chart(metrics, &measure));
  write_model_card(run.out(), facts);
  return facts.calibration;
}

// Which model the evaluations chose: "macro-recall 0.9 at step 30". Empty without evaluations.
std::string best_of(const Metrics& metrics, const Measure& measure) {
  const auto best = std::ranges::max_element(metrics.evaluations, {}, &EvaluationPoint::score);  // the first of equals
  if (best == metrics.evaluations.end()) return {};
  return fmt::format("{} {:.4f} at step {}", measure.noun, measure.value_of(best->score), best->step);
}

// Trains a model into the folder `out` and shows progress on stderr. run_directory.h lists the other files of the
// folder. The first Ctrl-C saves a checkpoint and the model and exits with 0. The second kills the process. Of several
// ranks, rank 0 does all this and the others only train.
void run_train(TrainArguments& arguments, optim::Communicator* ranks) {
  const bool first = ranks == nullptr || ranks->is_first();
  if (arguments.tune > 0 && ranks != nullptr && ranks->size() > 1) {
    throw UsageError("--tune trains in one process; leave mpirun out, or --tune");
  }
  check(arguments);
  if (arguments.threads > 0) set_num_threads(static_cast<int>(arguments.threads));
  SkippedRows skipped;
  nn::DatasetOptions reading = dataset_options(arguments.table, skipped);
  if (!first) reading = silent(std::move(reading));
  reading.map = label_map(arguments.map);
  choose_problem(arguments, reading, first);
  arguments.data = shard_files(arguments.data);
  const auto choose_now = [&] { choose(arguments, silent(reading), first); };
  std::optional<CachedTexts> cached;
  if (!arguments.token_cache.empty()) {
    cached = streamed_data(arguments, reading, ranks, choose_now);
  } else {
    if (first) advise_token_cache(arguments);
    choose_now();
  }
  reading.labels = arguments.options.labels;
  std::vector<std::filesystem::path> all = training_files(arguments);
  all.insert(all.end(), arguments.dev.begin(), arguments.dev.end());
  std::vector<LabelledFile> data = cached ? std::move(cached->data) : read_labelled(arguments.data, all, reading);
  std::vector<LabelledFile> dev = read_labelled(arguments.dev, all, reading);
  if (cached && arguments.dev.empty()) {
    dev = std::move(cached->held);
  } else if (arguments.dev.empty()) {
    dev = dev_of(arguments, data, first);
  }
  check_dev(arguments, !dev.empty());
  const optim::TrainOptions options = train_options(arguments);
  std::vector<LabelledFile> extra = read_labelled(arguments.extra, all, reading);
  std::vector<LabelledFile> unlabelled = read_unlabelled_files(arguments.unlabelled, all, reading);
  skipped.report();
  RunRecord record{.command = arguments.command,
                   .settings = arguments.settings,
                   .data = files_of(data),
                   .extra = files_of(extra),
                   .dev = files_of(dev),
                   .unlabelled = files_of(unlabelled),
                   .teachers = teacher_files(options.teachers)};
  for (auto* more : {&extra, &unlabelled}) std::move(more->begin(), more->end(), std::back_inserter(data));
  TrainingTexts texts{take_examples(data), std::move(dev)};
  if (cached) {
    texts.examples = std::move(cached->sample);
    texts.stream = std::move(cached->texts);
  }
  if (!first) {
    follow(arguments, *ranks, [&](const optim::OnProgress& on_progress, const optim::RunOptions& run_options) {
      return train_on(texts, options, arguments.out, on_progress, run_options);
    });
    return;
  }
  if (!texts.stream) warn_of_overlap(texts.examples, texts.dev);

  RunDirectory run(arguments.out, std::move(record), begin_of(arguments));
  // The file may lie in the folder that was just made.
  if (!arguments.teacher_cache.empty() && !options.teachers.empty()) check_teacher_cache(arguments.teacher_cache);
  say_where_it_begins(arguments, run, about_texts(arguments, texts.count()));
  if (arguments.tune > 0 && run.resumed_step() > 0 && !run.was_finished()) {
    throw UsageError("--tune searches before a training begins, and this one goes on; leave --tune or --resume out");
  }
  std::optional<OptionSearch> search;
  if (arguments.tune > 0 && !run.was_finished()) search = search_options(arguments, options, run, texts);
  const optim::TrainResult result = search ? search->result : train_run(arguments, options, run, texts, ranks);
  const Metrics metrics = read_metrics(run.path("metrics.jsonl"));
  const Calibration calibration = write_reports(run, result, metrics, texts, arguments.data.size(),
                                                search ? search->told : std::string(), measure_of(arguments.best));
  run.write_state(result.interrupted ? "interrupted" : "finished", result.steps);
  report(arguments, result, best_of(metrics, measure_of(arguments.best)), [&](JsonWriter& json) {
    if (search) json.member("trials", search->trials.size()).member("best_trial", search->best.number);
    if (calibration.texts == 0) return;
    json.member("calibration_temperature", calibration.temperature).member("calibration_texts", calibration.texts);
  });
  if (!result.interrupted) warn_of_guessing(arguments, metrics, texts, result.steps);
}

}  // namespace

void add_train(CommandLine& line) {
  const auto a = std::make_shared<TrainArguments>();
  CLI::App* command = line.app.add_subcommand("train", "Train a text classifier on labelled texts");
  if (const Task* task = chosen_task(line)) return add_task_training(line, *command, *task);
  a->task = nn::kClassification;
  add_task_option(*command, a->task);
  add_file_option(*command, "--data", a->data,
                  "Training data: labelled texts (.tsv, .csv, .jsonl, .json, .xlsx, fastText's .txt), a folder of such "
                  "files, or a pattern such as 'shards/*.tsv'. Required. Repeat it for several files");
  add_file_option(*command, "--dev", a->dev,
                  "Dev set, on which the best model is chosen. Without it a share of --data is held out (--dev-share). "
                  "Repeat it for several files");
  add_file_option(
      *command, "--extra", a->extra,
      "Auxiliary training data. Each epoch takes a fraction of it (--extra-share). Labels that a file lacks do not "
      "compete for its texts. Repeat it for several files");
  add_file_option(*command, "--unlabelled", a->unlabelled,
                  "Texts without labels (.txt with a text per line, or a table), whose targets are the predictions of "
                  "--teacher alone. Repeat it for several files");
  add_map(command, a->map)->group("Files");
  command
      ->add_option("--dev-share", a->dev_share,
                   "Fraction of --data that is held out as the dev set without --dev, chosen by a hash of each text. 0 "
                   "trains on all texts and keeps the last model. Fewer than 200 texts are not divided unasked")
      ->check(in_range<double>(optim::rows::kBelowOne))
      ->capture_default_str()
      ->group("Files");
  add_table_options(*command, a->table, true);
  a->options.labels.clear();  // learned from the data
  add_training_options(*command, *a, optim::OptionUse::classification, "--best");
  command->get_option("--from")->description(
      "Model folder to begin with, or 'shipped' for the model that comes with qing. Its vocabulary, encoder size and "
      "weights are taken over. A classification head is kept if the labels are the same");
  command
      ->add_option(
          "--best", a->best,
          "Measure on the dev sets by which the best model is kept, the mean over several sets. The default of several "
          "labels is micro_f1, of ordered labels kappa, and of numbers mse")
      ->check(CLI::IsMember(measure_names()))
      ->default_str("macro_recall")
      ->group("Run");
  command
      ->add_option("--tune", a->tune,
                   "Hyperparameter search of this many minutes before the end: trials with other rates, epochs, batch "
                   "sizes, dropout and weight decay, compared on the dev sets. 0 disables it")
      ->check(number_from(0, 1e6))
      ->capture_default_str()
      ->group("Run");
  command
      ->add_option("--teacher-cache", a->teacher_cache,
                   "File of the teachers' predictions, which several trainings may share. Without it each training has "
                   "its own, run/teachers.safetensors")
      ->type_name("FILE")
      ->group(optim::rows::kTeachers);
  command
      ->add_option(
          "--token-cache", a->token_cache,
          "Cache folder of tokenized texts, for data larger than the memory. --data is tokenized into it once, "
          "and training reads from it. Several trainings may share it. Without it texts are read into memory")
      ->type_name("FOLDER")
      ->group("Files");
  command->callback([&line, command, a] {
    read_configs(*command, *a);
    a->dev_share_given = command->count("--dev-share") > 0;
    for (const char* flag : {"--multi-label", "--ordinal", "--regression"}) {
      a->problem_given = a->problem_given || command->count(flag) > 0;
    }
    if (command->count("--best") == 0) a->best.clear();
    // Runs of older versions held nothing out.
    if (a->resume && !a->dev_share_given && recorded_config(a->out)) {
      a->dev_share = 0;
      set_values(a->settings, "dev-share", {"0"});
    }
    a->options.from = named_model(a->options.from);
    line.run = [a] { with_ranks(a->threads, [&](optim::Communicator* ranks) { run_train(*a, ranks); }); };
  });
}

}  // namespace qing::serve::cli
