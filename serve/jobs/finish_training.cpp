// What a worker does after `qing train`.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/nn/models/classifier_config.h>
#include <qing/nn/models/pretrained.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/serve/jobs/json_object_file.h>
#include <qing/serve/jobs/train_task.h>
#include <qing/serve/registry/model_manifest.h>
#include <qing/serve/runs/dev_scores.h>
#include <qing/serve/runs/metrics_log.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace json = boost::json;
namespace {

// The measures of a kind of problem in the results.
std::vector<std::string> columns_of(nn::Problem problem) {
  if (problem == nn::Problem::single_label) return {"accuracy", "macro_recall", "macro_f1"};
  std::vector<std::string> names;
  for (const cli::Measure& measure : cli::measures_of(problem)) names.emplace_back(measure.name);
  return names;
}

// The scores of the first dev set, in the order of columns_of(). Empty without dev sets.
std::vector<double> scores_of(const cli::EvaluationPoint& point, const std::vector<std::string>& columns) {
  if (!point.sets.empty()) {
    const cli::DevScore& set = point.sets.front();
    return {set.accuracy, set.macro_recall, set.macro_f1};
  }
  std::vector<double> scores;
  if (point.measured.empty()) return scores;
  for (const std::string& name : columns) scores.push_back(cli::value_of(point.measured.front(), name));
  return scores;
}

// A row for each step, with the scores of the first dev set where it was evaluated.
std::string csv_of(const cli::Metrics& metrics, const std::vector<std::string>& columns) {
  std::map<std::int64_t, const cli::EvaluationPoint*> evaluations;
  for (const cli::EvaluationPoint& point : metrics.evaluations) evaluations[point.step] = &point;
  std::string csv = "step,train_loss";
  for (const std::string& name : columns) csv += ",valid_" + name;
  csv += "\n";
  for (const cli::StepPoint& point : metrics.steps) {
    csv += fmt::format("{},{}", point.step, point.loss);
    const auto found = evaluations.find(point.step);
    std::vector<double> scores;
    if (found != evaluations.end()) scores = scores_of(*found->second, columns);
    for (size_t i = 0; i < columns.size(); ++i) csv += scores.empty() ? "," : fmt::format(",{}", scores[i]);
    csv += "\n";
  }
  return csv;
}

// Of one pass over the texts, special ones included.
std::int64_t tokens_of(const fs::path& model, const fs::path& data) {
  const auto classifier = nn::TextClassifier::load(model);
  nn::DatasetOptions options;
  options.labels = classifier->labels();
  options.problem = classifier->problem();
  nn::ExampleReader reader(data, options);
  std::int64_t tokens = 0;
  while (const auto example = reader.next()) {
    tokens += static_cast<std::int64_t>(classifier->encode(example->text).ids.size());
  }
  return tokens;
}

json::object outcome_of(const JobFolder& folder, const cli::Metrics& metrics, nn::Problem problem) {
  const json::object plan = read_object_file(folder.plan());
  const std::int64_t steps = metrics.steps.empty() ? 0 : metrics.steps.back().step;
  const double passes = static_cast<double>(steps) / std::max(1.0, plan.at("steps_of_epoch").to_number<double>());
  const double tokens = static_cast<double>(tokens_of(folder.model(), folder.path / "data.jsonl"));
  json::object outcome{{"trained_tokens", static_cast<std::int64_t>(tokens * passes)},
                       {"steps", steps},
                       {"train_loss", metrics.steps.empty() ? 0 : metrics.steps.back().loss},
                       {"training_texts", plan.at("training_texts")},
                       {"validation_texts", plan.at("validation_texts")},
                       {"labels", plan.at("labels")},
                       {"problem", nn::name_of(problem)}};
  // The first of several equal ones, as the training keeps it.
  const auto best = std::ranges::max_element(metrics.evaluations, {}, &cli::EvaluationPoint::score);
  const std::vector<std::string> columns = columns_of(problem);
  if (best != metrics.evaluations.end()) {
    const std::vector<double> scores = scores_of(*best, columns);
    json::object validation;
    for (size_t i = 0; i < scores.size(); ++i) validation[columns[i]] = scores[i];
    outcome["best_step"] = best->step;
    outcome["validation"] = std::move(validation);
  }
  if (is_there(folder.search())) outcome["search"] = read_object_file(folder.search());
  return outcome;
}

}  // namespace

void finish_training(const JobFolder& folder) {
  if (!is_there(folder.outcome())) {
    const cli::Metrics metrics = cli::read_metrics(folder.metrics());
    const nn::Problem problem = nn::ClassifierConfig::load(folder.model() / nn::kConfigFile).problem;
    write_file_atomically(folder.results(), csv_of(metrics, columns_of(problem)));
    write_file_atomically(folder.outcome(), json::serialize(outcome_of(folder, metrics, problem)));
  }
  for (const char* name : {"checkpoints", "last"}) remove_tree(folder.model() / "run" / name);
  write_manifest(folder.model());
}

}  // namespace qing::serve
