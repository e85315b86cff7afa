#include <qing/serve/cli/training_session.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include <qing/tensor/errors.h>

namespace qing::serve::cli {

TrainingSession::TrainingSession(const TrainingArguments& arguments, const RunDirectory& run,
                                 optim::Communicator* ranks)
    : arguments_(arguments),
      run_(run),
      ranks_(ranks),
      log_(run.path("metrics.jsonl"), run.resumed_step(), arguments.units.work),
      display_(arguments.units) {
  for (const EvaluationPoint& point : read_metrics(run.path("metrics.jsonl")).evaluations) {
    best_ = std::max(best_, point.score);
  }
}

optim::TrainResult TrainingSession::run(const Train& train, const Evaluate& evaluate) {
  optim::RunOptions options = run_options(arguments_, run_);
  if (evaluate) {
    options.evaluate = [&](const std::filesystem::path& model, const optim::Progress& progress) {
      display_.end_line();
      return evaluate(model, progress);
    };
  }
  options.ranks = ranks_;
  options.on_slow_rank = [&](const optim::SlowRank& slow) {
    display_.end_line();
    fmt::print(stderr,
               "qing: warning: rank {} is slow: over the last {} steps it computed {:.1f} times as long as the others, "
               "which waited for it\n",
               slow.rank, optim::SlowRanks::kSteps, slow.factor);
  };
  const auto on_progress = [&](const optim::Progress& progress) {
    display_.show(progress);
    log_.add_step(progress);
    return !interrupted();
  };
  const optim::TrainResult result = train(on_progress, options);
  display_.end_line();
  guard_.reset();
  return result;
}

double TrainingSession::add_evaluation(const optim::Progress& progress, const std::vector<SetScores>& sets,
                                       double score) {
  log_.add_evaluation(progress, sets, score, score > best_);
  best_ = std::max(best_, score);
  return score;
}

double TrainingSession::add_evaluation(const optim::Progress& progress, const std::vector<DevScore>& sets,
                                       const Measure& measure) {
  const double score = measure.score(sets);
  log_.add_evaluation(progress, sets, measure, score > best_);
  best_ = std::max(best_, score);
  return score;
}

void TrainingSession::print_scores(const optim::Progress& progress, const std::string& name,
                                   const std::string& scores) const {
  fmt::print(stderr, "epoch {}/{}, step {}: {}: {}\n", progress.epoch, progress.epochs, progress.step, name, scores);
}

void follow(const TrainingArguments& arguments, optim::Communicator& ranks, const TrainingSession::Train& train) {
  const InterruptGuard guard("");
  optim::RunOptions options{.evaluate_every = arguments.eval_every, .patience = arguments.early_stop, .ranks = &ranks};
  if (arguments.evaluates) {
    options.last = arguments.out;
    options.evaluate = [](const std::filesystem::path&, const optim::Progress&) -> double {
      throw Error("follow: rank 0 alone evaluates");
    };
  }
  train([&](const optim::Progress&) { return !guard.interrupted(); }, options);
}

}  // namespace qing::serve::cli
