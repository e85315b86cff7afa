#include <qing/serve/cli/option_search.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <map>
#include <utility>

#include <qing/nn/staged_directory.h>
#include <qing/serve/cli/interrupt.h>
#include <qing/serve/cli/progress.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/runs/metrics_log.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;
using SearchClock = std::chrono::steady_clock;

constexpr const char* kSearchNotice =
    "\nqing: stopping: the best trial becomes the model after this step; Ctrl-C again stops at once\n";
constexpr int64_t kOnlyAtTheEnd = int64_t{1} << 52;  // of checkpoints
constexpr double kMinute = 60;

double search_seconds_since(SearchClock::time_point start) {
  return std::chrono::duration<double>(SearchClock::now() - start).count();
}

class Search {
 public:
  Search(const TrainArguments& arguments, const optim::TrainOptions& options, RunDirectory& run,
         const TrainingTexts& texts)
      : arguments_(arguments),
        options_(options),
        run_(run),
        texts_(texts),
        measure_(measure_of(arguments.best)),
        limit_(kMinute * arguments.tune) {}

  OptionSearch search() {
    remove_tree(run_.path("trials"));
    write_file_atomically(run_.path("trials.jsonl"), "");
    for (int64_t number = 1; !ended(); ++number) {
      Trial trial = draw_trial(options_, options_.seed, number);
      if (!fit(trial)) break;
      run_trial(trial);
    }
    const Trial* best = best_trial(trials_);
    if (best == nullptr) { throw Error("--tune: stopped before the first step of the first trial"); }
    OptionSearch found{trials_, *best, results_.at(best->number), stopped(), told(*best)};
    found.result.interrupted = best->end == TrialEnd::cut;
    keep(*best);
    fmt::print(stderr, "{}\n", found.told);
    return found;
  }

 private:
  fs::path folder_of(const Trial& trial) const { return run_.path("trials") / std::to_string(trial.number); }
  bool stopped() const { return guard_.interrupted(); }
  bool ended() const { return stopped() || search_seconds_since(start_) >= limit_; }
  std::string shown(double score) const { return fmt::format("{} {:.4f}", measure_.noun, measure_.value_of(score)); }

  // Lowers the epochs until the trial is likely to end in time. Returns false when one epoch is too long.
  bool fit(Trial& trial) const {
    if (seconds_of_epoch_ == 0) return true;  // the first one
    const auto most = static_cast<int64_t>((limit_ - search_seconds_since(start_)) / seconds_of_epoch_);
    trial.epochs = std::min(trial.epochs, most);
    return trial.epochs > 0;
  }

  // Keeps no more than the best trial on the disk.
  void forget_all_but_the_best() const {
    const Trial* best = best_trial(trials_);
    for (const Trial& trial : trials_) {
      if (&trial != best) remove_tree(folder_of(trial));
    }
  }

  // The score of the model, which is appended to the log.
  double evaluate_into(MetricsLog& log, const fs::path& model, const optim::Progress& progress, double best) const {
    if (options_.problem() != nn::Problem::single_label) {
      const std::vector<SetScores> scores = score_sets(model, texts_.dev, measure_);
      const double score = measure_.score(scores);
      log.add_evaluation(progress, scores, score, score > best);
      return score;
    }
    const std::vector<DevScore> scores = score_dev(model, texts_.dev);
    const double score = measure_.score(scores);
    log.add_evaluation(progress, scores, measure_, score > best);
    return score;
  }

  void run_trial(Trial& trial) {
    const fs::path folder = folder_of(trial);
    fs::create_directories(folder);
    const auto begin = SearchClock::now();
    MetricsLog log(folder / "metrics.jsonl", 0);
    bool hopeless = false, interrupted = false;
    trial.score = -std::numeric_limits<double>::infinity();
    optim::RunOptions run{.checkpoints = folder / "checkpoints",
                          .checkpoint_every = kOnlyAtTheEnd,
                          .evaluate_every = arguments_.eval_every,
                          .patience = arguments_.early_stop,
                          .last = folder / "last"};
    const auto evaluate = [&](const fs::path& model, const optim::Progress& progress) {
      display_.end_line();
      const double score = evaluate_into(log, model, progress, trial.score);
      if (score > trial.score) trial.score = score, trial.step = progress.step;
      trial.scores.push_back(score);
      hopeless = progress.step < progress.steps && is_hopeless(trial.scores, trials_);
      return score;
    };
    run.evaluate = evaluate;
    optim::Progress now{};
    const auto on_progress = [&](const optim::Progress& progress) {
      now = progress;
      display_.show(progress);
      log.add_step(progress);
      interrupted = ended();
      return !hopeless && !interrupted;
    };
    const optim::TeacherOptions teachers{.cache = teacher_cache_of(arguments_, run_),
                                         .on_progress = [&](const optim::TeacherProgress& asked) {
                                           display_.show(asked);
                                           if (!stopped()) return;
                                           display_.end_line();
                                           throw Error("stopped while the teachers were asked");
                                         }};
    const optim::TrainResult result = optim::train_classifier(texts_.examples, with_trial(options_, trial),
                                                              folder / "model", on_progress, {}, run, teachers);
    display_.end_line();
    // A trial that was cut before its first evaluation is better than none.
    if (trial.step == 0 && best_trial(trials_) == nullptr) evaluate(folder / "model", now);
    trial.seconds = search_seconds_since(begin);
    trial.end = !result.interrupted        ? TrialEnd::finished
                : hopeless && !interrupted ? TrialEnd::hopeless
                                           : TrialEnd::cut;
    if (result.epochs > 0) {
      seconds_of_epoch_ = std::max(seconds_of_epoch_, trial.seconds / static_cast<double>(result.epochs));
    }
    results_.emplace(trial.number, result);
    trials_.push_back(trial);
    const Trial* best = best_trial(trials_);
    fmt::print(stderr, "trial {}: {}: {} after {:.0f} s: {}{}\n", trial.number, options_text(trial), name_of(trial.end),
               trial.seconds, trial.step > 0 ? shown(trial.score) : "not evaluated",
               best == &trials_.back() ? ", the best so far" : "");
    append_trial(run_.path("trials.jsonl"), trial, std::string(measure_.name), measure_.value_of(trial.score));
    forget_all_but_the_best();
  }

  std::string told(const Trial& best) const {
    const auto count = [&](TrialEnd end) { return std::ranges::count(trials_, end, &Trial::end); };
    std::string text = fmt::format(
        "The best of {} in {:.1f} of {:g} minutes ({} finished, {} stopped early, {} "
        "cut) is trial {} with {}: {}.",
        how_many(trials_.size(), "trial"), search_seconds_since(start_) / kMinute, arguments_.tune,
        count(TrialEnd::finished), count(TrialEnd::hopeless), count(TrialEnd::cut), best.number, shown(best.score),
        options_text(best));
    if (best.end == TrialEnd::cut) {
      text += fmt::format(" {}: the model is not finished.",
                          stopped() ? "The search was stopped before this trial ended" : "No trial ended in time");
    }
    return text;
  }

  // Makes the trial's files those of the run.
  void keep(const Trial& best) {
    const fs::path folder = folder_of(best);
    Settings settings = run_.record().settings;
    set_trial(settings, best);
    set_values(settings, "tune", {"0"});
    run_.replace_settings(std::move(settings));
    for (const char* name : {"checkpoints", "last"}) {
      remove_tree(run_.path(name));
      if (is_there(folder / name)) fs::rename(folder / name, run_.path(name));
    }
    fs::rename(folder / "metrics.jsonl", run_.path("metrics.jsonl"));
    nn::StagedDirectory staged(run_.out());
    for (const fs::directory_entry& entry : entries_of(folder / "model")) {
      fs::rename(entry.path(), staged.path() / entry.path().filename());
    }
    staged.commit();
    remove_tree(run_.path("trials"));
  }

  const TrainArguments& arguments_;
  const optim::TrainOptions& options_;
  RunDirectory& run_;
  const TrainingTexts& texts_;
  const Measure& measure_;
  const double limit_;  // seconds
  const SearchClock::time_point start_ = SearchClock::now();
  const InterruptGuard guard_{kSearchNotice};
  ProgressDisplay display_;
  std::vector<Trial> trials_;
  std::map<int64_t, optim::TrainResult> results_;  // by the trial's number
  double seconds_of_epoch_ = 0;                    // of the slowest trial
};

}  // namespace

OptionSearch search_options(const TrainArguments& arguments, const optim::TrainOptions& options, RunDirectory& run,
                            const TrainingTexts& texts) {
  return Search(arguments, options, run, texts).search();
}

}  // namespace qing::serve::cli
