#include <qing/serve/cli/training_session.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace qing::serve::cli {

TrainingSession::TrainingSession(const TrainingArguments& arguments, const RunDirectory& run)
    : arguments_(arguments), run_(run), log_(run.path("metrics.jsonl"), run.resumed_step()) {
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

double TrainingSession::add_evaluation(const optim::Progress& progress, const std::vector<MaskedDevScore>& sets,
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

}  // namespace qing::serve::cli
