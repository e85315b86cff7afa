// `qing train`.
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdio>
#include <string_view>
#include <unordered_set>

#include <qing/optim/train_classifier.h>
#include <qing/serve/cli/commands.h>
#include <qing/serve/cli/evaluation.h>
#include <qing/serve/cli/output.h>
#include <qing/serve/cli/progress.h>

namespace qing::serve::cli {
namespace {

volatile sig_atomic_t interrupted = 0;

// While it lives, the first SIGINT or SIGTERM sets `interrupted` and the second has its usual effect.
class InterruptGuard {
 public:
  InterruptGuard() {
    interrupted = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &old_interrupt_);
    sigaction(SIGTERM, &action, &old_terminate_);
  }
  ~InterruptGuard() {
    sigaction(SIGINT, &old_interrupt_, nullptr);
    sigaction(SIGTERM, &old_terminate_, nullptr);
  }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  struct sigaction old_interrupt_ {};
  struct sigaction old_terminate_ {};
};

int64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;  // Linux counts in KiB
}

optim::TrainOptions train_options(const TrainArguments& arguments) {
  optim::TrainOptions options;
  options.layers = arguments.layers;
  options.width = arguments.width;
  options.heads = arguments.heads;
  options.batch = arguments.batch;
  options.vocab = arguments.vocab;
  options.epochs = arguments.epochs;
  options.max_length = arguments.max_length;
  options.max_steps = arguments.max_steps;
  options.lr = arguments.lr;
  options.dropout = arguments.dropout;
  options.warmup = arguments.warmup;
  options.weight_decay = arguments.weight_decay;
  options.clip = arguments.clip;
  options.seed = arguments.seed;
  return options;
}

void check(const TrainArguments& arguments) {
  if (arguments.heads > 0 && arguments.width % arguments.heads != 0) {
    throw UsageError(fmt::format("--width {} is not a multiple of --heads {}; change either", arguments.width,
                                 arguments.heads));
  }
  if (arguments.heads == 0 && arguments.width % 32 != 0) {
    throw UsageError(fmt::format("--width {} is not a multiple of 32, the width of a head; change it or give --heads",
                                 arguments.width));
  }
}

// The texts of one --dev file.
struct DevSet {
  std::string name;
  std::vector<nn::Example> examples;
};

std::vector<DevSet> read_dev_sets(const std::vector<std::filesystem::path>& files) {
  std::vector<DevSet> sets;
  for (const auto& file : files) sets.push_back({file.filename().string(), read_examples(std::span(&file, 1))});
  return sets;
}

// A score on texts the model has learnt by heart says nothing; better told than found out.
void warn_of_overlap(const std::vector<nn::Example>& examples, const std::vector<DevSet>& sets) {
  std::unordered_set<std::string_view> seen;
  for (const nn::Example& example : examples) seen.insert(example.text);
  for (const DevSet& dev : sets) {
    int64_t shared = 0;
    for (const nn::Example& example : dev.examples) shared += static_cast<int64_t>(seen.count(example.text));
    if (shared == 0) continue;
    fmt::print(stderr, "qing: warning: {} of {} texts of {} are among those of --data; their scores flatter\n", shared,
               dev.examples.size(), dev.name);
  }
}

void report_epoch(const TrainArguments& arguments, const std::vector<DevSet>& sets, int64_t epoch) {
  const auto model = nn::TextClassifier::load(arguments.out);
  for (const DevSet& dev : sets) {
    const Evaluation evaluation = evaluate(*model, dev.examples);
    fmt::print(stderr, "epoch {}/{}: {}: accuracy {:.4f}, macro recall {:.4f}, macro F1 {:.4f} ({} texts)\n", epoch,
               arguments.epochs, dev.name, evaluation.all.accuracy(), evaluation.all.macro_recall(),
               evaluation.all.macro_f1(), evaluation.all.total());
  }
}

}  // namespace

void run_train(const TrainArguments& arguments) {
  check(arguments);
  const std::vector<nn::Example> examples = read_examples(arguments.data);
  const std::vector<DevSet> dev = read_dev_sets(arguments.dev);
  warn_of_overlap(examples, dev);
  fmt::print(stderr, "training on {} texts of {} files, {} layers of width {}\n", examples.size(),
             arguments.data.size(), arguments.layers, arguments.width);

  const InterruptGuard guard;
  ProgressDisplay display;
  const auto on_progress = [&](const optim::Progress& progress) {
    display.show(progress);
    return interrupted == 0;
  };
  const auto on_epoch = [&](int64_t epoch) {
    display.end_line();
    if (!dev.empty()) report_epoch(arguments, dev, epoch);
  };
  const optim::TrainResult result =
      optim::train_classifier(examples, train_options(arguments), arguments.out, on_progress, on_epoch);
  display.end_line();

  fmt::print(stderr, "{}; the model of step {} is in {}\n", result.interrupted ? "interrupted" : "done", result.steps,
             arguments.out.string());
  if (arguments.json) {
    JsonObject object;
    object.number("tokens_per_second", result.tokens_per_second).integer("peak_rss_bytes", peak_rss_bytes());
    object.number("loss", result.loss).integer("steps", result.steps).integer("epochs", result.epochs);
    object.number("seconds", result.seconds).boolean("interrupted", result.interrupted);
    print_line(object.text("model", arguments.out.string()).str());
  } else {
    print_line(fmt::format("loss {:.4f}, {:.0f} tokens/s, {:.1f} s", result.loss, result.tokens_per_second,
                           result.seconds));
  }
}

}  // namespace qing::serve::cli
