#include <qing/serve/cli/task_driver.h>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <qing/serve/cli/training_session.h>
#include <qing/serve/reports/charts.h>
#include <qing/serve/runs/metrics_log.h>
#include <qing/serve/runs/run_directory.h>
#include <qing/tensor/files.h>
#include <qing/tensor/threads.h>

namespace qing::serve::cli {
namespace {

double evaluate_task(TrainingSession& session, TaskTraining& training, const std::filesystem::path& folder,
                     const optim::Progress& progress) {
  const std::vector<SetScores> scores = training.evaluate(folder);
  double mean = 0;
  for (const SetScores& set : scores) {
    mean += set.score / static_cast<double>(scores.size());
    session.print_scores(progress, set.name, set.text);
  }
  return session.add_evaluation(progress, scores, mean);
}

// Which model the evaluations chose: "F1 0.9 at step 30". Empty without evaluations, and where nothing is named.
std::string best_of_task(const Metrics& metrics, const std::string& measure) {
  const auto best = std::ranges::max_element(metrics.evaluations, {}, &EvaluationPoint::score);  // the first of equals
  if (best == metrics.evaluations.end() || measure.empty()) return {};
  return fmt::format("{} {:.4f} at step {}", measure, best->score, best->step);
}

}  // namespace

void run_training(TrainingArguments& arguments, const ReadTraining& read, optim::Communicator* ranks) {
  check_training(arguments);
  if (arguments.threads > 0) set_num_threads(static_cast<int>(arguments.threads));
  const bool first = ranks == nullptr || ranks->is_first();
  const std::unique_ptr<TaskTraining> training = read(first);
  arguments.evaluates = training->has_dev();
  check_evaluations(arguments);
  const TrainingSession::Train train = [&](const optim::OnProgress& on_progress, const optim::RunOptions& options) {
    return training->train(arguments.out, on_progress, options);
  };
  if (!first) return follow(arguments, *ranks, train);

  RunRecord record{.command = arguments.command,
                   .settings = arguments.settings,
                   .data = training->data_files(),
                   .extra = {},
                   .dev = training->dev_files(),
                   .unlabelled = {},
                   .teachers = {}};
  RunDirectory run(arguments.out, std::move(record), begin_of(arguments));
  say_where_it_begins(arguments, run, training->about());
  TrainingSession session(arguments, run, ranks);
  TrainingSession::Evaluate evaluate;
  if (arguments.evaluates) {
    evaluate = [&](const std::filesystem::path& folder, const optim::Progress& progress) {
      return evaluate_task(session, *training, folder, progress);
    };
  }
  const optim::TrainResult result = session.run(train, evaluate);
  const Metrics metrics = read_metrics(run.path("metrics.jsonl"));
  write_file_atomically(run.path("loss.svg"), loss_chart(metrics));
  TaskFacts facts{.record = run.record(), .result = result, .best_step = metrics.best_step(), .dev = {}};
  if (!result.interrupted && arguments.evaluates) facts.dev = training->evaluate(run.out());
  training->write_card(run.out(), facts);
  run.write_state(result.interrupted ? "interrupted" : "finished", result.steps);
  report(arguments, result, best_of_task(metrics, training->measure()), [&](JsonWriter& json) {
    if (arguments.task.empty() || facts.dev.empty()) return;
    json.member("best_step", facts.best_step).key("dev").begin_array();
    for (const SetScores& set : facts.dev) {
      json.begin_object().member("name", set.name);
      for (const auto& [name, value] : set.values) json.member(name, value);
      json.end();
    }
    json.end();
  });
}

}  // namespace qing::serve::cli
