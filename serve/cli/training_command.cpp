#include <qing/serve/cli/training_command.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>

#include <cstdio>
#include <string_view>
#include <system_error>
#include <unordered_set>

#include <qing/nn/models/task_model.h>
#include <qing/optim/classifier/replaced_options.h>
#include <qing/optim/parallel/launch.h>
#include <qing/optim/training/chunked_batch.h>
#include <qing/serve/cli/config_file.h>
#include <qing/serve/cli/number_from.h>
#include <qing/serve/cli/train_option_lines.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>

namespace qing::serve::cli {
namespace {

int64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;  // Linux reports KiB
}

// Gives --chunks its value for several processes, so that the record of the run has it.
void set_chunks(CLI::App& command, TrainingArguments& arguments) {
  if (!optim::launch() || arguments.options.fast_reduce != 0) return;
  CLI::Option* option = command.get_option_no_throw("--chunks");
  if (option == nullptr) return;
  if (option->count() == 0 || (arguments.options.chunks == 0 && !arguments.resume)) {
    option->clear();
    option->add_result(std::to_string(optim::kDefaultChunks));
    option->run_callback();
  }
  if (arguments.options.chunks > 0) return;
  throw UsageError(
      "--chunks 0 computes batches as a whole, which several processes cannot. Resume such a training without mpirun, "
      "or begin a new one with --overwrite and --chunks 8");
}

// The options on the command line that a model to begin with has its own values for.
std::vector<std::string> replaced_by_model(const CLI::App& command) {
  std::vector<std::string> given;
  for (const std::string_view name : optim::kReplacedByModel) {
    const CLI::Option* option = command.get_option_no_throw(fmt::format("--{}", name));
    if (option != nullptr && option->count() > 0) given.push_back(option->get_name());
  }
  return given;
}

}  // namespace

void add_file_option(CLI::App& command, const char* name, std::vector<std::filesystem::path>& files,
                     const char* about) {
  command.add_option(name, files, about)->allow_extra_args(false)->type_name("FILE")->group("Files");
}

void add_training_options(CLI::App& command, TrainingArguments& a, optim::OptionUse recipe, const char* score) {
  a.command = command.get_name();
  command.add_option("--out", a.out, "Output folder of the model. Required")->type_name("FOLDER")->group("Files");
  command.add_option("--config", a.config, "Configuration file (TOML), such as DIR/run/config.toml")
      ->configurable(false)
      ->type_name("FILE")
      ->group("Files");
  add_train_options(&command, a.options, recipe);
  const auto add_count = [&](const char* name, int64_t& value, double most, const std::string& about) {
    command.add_option(name, value, about)->check(number_from(0, most))->capture_default_str()->group("Run");
  };
  add_count("--eval-every", a.eval_every, 1e15, "Evaluation interval in steps. 0 means every epoch");
  add_count(
      "--early-stop,--patience", a.early_stop, 1e15,
      fmt::format("Early stopping: number of evaluations without a better {} on the dev sets. 0 disables it", score));
  add_count("--checkpoint-every", a.checkpoint_every, 1e15, "Checkpoint interval in steps. 0 means every epoch");
  add_count("--threads", a.threads, 1024,
            "Number of threads. 0 means QING_THREADS, else OMP_NUM_THREADS, else all CPUs of the process");
  const auto add_flag = [&](const char* name, bool& value, const char* about) {
    command.add_flag(name, value, about)->configurable(false)->group("Run");
  };
  add_flag("--resume", a.resume, "Resume the training in --out. Its options need not be given again");
  add_flag("--overwrite", a.overwrite, "Replace an unfinished training in --out");
  add_flag("--json", a.json, "Print the result as a JSON object on stdout");
}

void read_configs(CLI::App& command, TrainingArguments& a) {
  // A file that a run has written has these options, too.
  const std::vector<std::string> replaced = replaced_by_model(command);
  if (!a.config.empty()) read_config(command, a.config);
  const auto recorded = a.resume && !a.out.empty() ? recorded_config(a.out) : std::nullopt;
  if (recorded) read_config(command, *recorded);
  if (a.resume && !a.out.empty() && !recorded && command.count("--data") == 0) {
    throw UsageError(fmt::format("--resume: there is no training to resume in {}; check --out", a.out.string()));
  }
  if (!a.options.from.empty() && !replaced.empty()) {
    throw UsageError(fmt::format("{}: the model of --from has its own; leave {} out, or --from",
                                 fmt::join(replaced, ", "), replaced.size() == 1 ? "it" : "them"));
  }
  set_chunks(command, a);
  for (const char* option : {"--data", "--out"}) {
    if (command.count(option) == 0) {
      throw UsageError(fmt::format("{} is missing; see qing {} --help", option, a.command));
    }
  }
  a.settings = settings_of(command);
  // The records of classifiers name no task.
  if (a.task == nn::kClassification) std::erase_if(a.settings, [](const Setting& one) { return one.name == "task"; });
}

void check_training(const TrainingArguments& a) {
  if (a.options.heads > 0 && a.options.width % a.options.heads != 0) {
    throw UsageError(
        fmt::format("--width {} is not a multiple of --heads {}; change either", a.options.width, a.options.heads));
  }
  if (a.options.heads == 0 && a.options.width % 32 != 0) {
    throw UsageError(fmt::format("--width {} is not a multiple of 32, the width of a head; change it or give --heads",
                                 a.options.width));
  }
  if (a.options.chunks > 0 && a.options.fast_reduce != 0) {
    throw UsageError("--chunks and --fast-reduce exclude each other; leave one of them out");
  }
  if (a.resume && a.overwrite) {
    throw UsageError("--resume continues a training and --overwrite replaces it; give one of them");
  }
  std::error_code absent;
  if (!a.options.from.empty() && std::filesystem::equivalent(a.options.from, a.out, absent)) {
    throw UsageError("--from is the folder of --out; give another --out");
  }
}

void check_evaluations(const TrainingArguments& a) {
  if (a.evaluates) return;
  if (a.early_stop > 0) {
    throw UsageError("--early-stop needs --dev: texts that show whether the model still improves");
  }
  if (a.eval_every > 0) throw UsageError("--eval-every needs --dev: texts to evaluate on");
}

void warn_of_overlap(std::span<const nn::Example> examples, const std::vector<LabelledFile>& sets) {
  std::unordered_set<std::string_view> seen;
  for (const nn::Example& example : examples) seen.insert(example.text);
  for (const LabelledFile& dev : sets) {
    int64_t shared = 0;
    for (const nn::Example& example : dev.examples) shared += static_cast<int64_t>(seen.count(example.text));
    if (shared == 0) continue;
    fmt::print(stderr, "qing: warning: {} of {} of {} are also in --data; scores on them are too high\n", shared,
               how_many(dev.examples.size(), "text"), dev.name);
  }
}

std::vector<DataFile> files_of(const std::vector<LabelledFile>& labelled) {
  std::vector<DataFile> files;
  files.reserve(labelled.size());
  for (const LabelledFile& one : labelled) files.push_back(one.file);
  return files;
}

Begin begin_of(const TrainingArguments& arguments) {
  if (arguments.resume) return Begin::resume;
  return arguments.overwrite ? Begin::overwrite : Begin::anew;
}

std::string about_texts(const TrainingArguments& arguments, size_t texts) {
  const std::string model =
      arguments.options.from.empty()
          ? fmt::format("{} layers of width {}", arguments.options.layers, arguments.options.width)
          : fmt::format("from {}", arguments.options.from.string());
  return fmt::format("{} of {}, {}", how_many(texts, "text"), how_many(arguments.data.size(), "file"), model);
}

void say_where_it_begins(const TrainingArguments& arguments, const RunDirectory& run, const std::string& about) {
  if (run.was_finished()) {
    fmt::print(stderr, "the training in {} is already finished\n", run.out().string());
    return;
  }
  if (run.is_extended() && run.resumed_step() > 0) {
    fmt::print(stderr,
               "the training in {} was finished after step {}; it goes on to {} epochs, with the learning rate of step "
               "{} of a training of that length\n",
               run.out().string(), run.resumed_step(), arguments.options.epochs, run.resumed_step() + 1);
  } else if (run.resumed_step() > 0) {
    fmt::print(stderr, "resuming after step {} of the training in {}\n", run.resumed_step(), run.out().string());
  } else if (arguments.resume) {
    fmt::print(stderr, "nothing to resume in {}; starting a new training\n", run.out().string());
  }
  fmt::print(stderr, "training on {}\n", about);
}

optim::RunOptions run_options(const TrainingArguments& arguments, const RunDirectory& run) {
  return {.checkpoints = run.path("checkpoints"),
          .checkpoint_every = arguments.checkpoint_every,
          .evaluate_every = arguments.eval_every,
          .patience = arguments.early_stop,
          .extended = run.is_extended(),
          .last = run.path("last")};
}

void report(const TrainingArguments& arguments, const optim::TrainResult& result, const std::string& best,
            const std::function<void(JsonWriter&)>& more) {
  const std::string out = arguments.out.string();
  if (result.interrupted) {
    fmt::print(stderr, "interrupted after step {} of {}; the model is in {}. To continue: qing {} --resume --out {}\n",
               result.steps, result.total_steps, out, arguments.command, out);
  } else {
    const std::string ended =
        result.early_stopped ? fmt::format("stopped early after step {} of {}: no better evaluation among the last {}",
                                           result.steps, result.total_steps, arguments.early_stop)
                             : fmt::format("done after step {}", result.steps);
    fmt::print(stderr, "{}; the {} model{} is in {}\n", ended, arguments.evaluates ? "best" : "last",
               best.empty() ? "" : fmt::format(", {},", best), out);
  }
  if (!arguments.json) {
    print_line(fmt::format("loss {:.4f}, {:.0f} {}/s, {:.1f} s", result.loss, result.tokens_per_second,
                           arguments.units.work, result.seconds));
    return;
  }
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member(fmt::format("{}_per_second", arguments.units.work), result.tokens_per_second);
  json.member("peak_rss_bytes", peak_rss_bytes()).member("loss", result.loss).member("steps", result.steps);
  json.member("epochs", result.epochs).member("seconds", result.seconds).member("interrupted", result.interrupted);
  json.member("early_stopped", result.early_stopped).member("resumed_from", result.resumed_from);
  if (more) more(json);
  json.member("model", out).end();
  print_line(json.take());
}

}  // namespace qing::serve::cli
