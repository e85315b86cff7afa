// What a worker does after `qing train`.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/nn/models/text_classifier.h>
#include <qing/serve/jobs/json_object_file.h>
#include <qing/serve/jobs/train_task.h>
#include <qing/serve/registry/model_manifest.h>
#include <qing/serve/runs/metrics_log.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace json = boost::json;
namespace {

// A row for each step, with the scores of the first dev set where it was evaluated.
std::string csv_of(const cli::Metrics& metrics) {
  std::map<std::int64_t, const cli::DevScore*> scores;
  for (const cli::EvaluationPoint& point : metrics.evaluations) {
    if (!point.sets.empty()) scores[point.step] = &point.sets.front();
  }
  std::string csv = "step,train_loss,valid_accuracy,valid_macro_recall,valid_macro_f1\n";
  for (const cli::StepPoint& point : metrics.steps) {
    csv += fmt::format("{},{}", point.step, point.loss);
    const auto found = scores.find(point.step);
    csv += found == scores.end() ? ",,,\n"
                                 : fmt::format(",{},{},{}\n", found->second->accuracy, found->second->macro_recall,
                                               found->second->macro_f1);
  }
  return csv;
}

// Of one pass over the texts, special ones included.
std::int64_t tokens_of(const fs::path& model, const fs::path& data) {
  const auto classifier = nn::TextClassifier::load(model);
  nn::DatasetOptions options;
  options.labels = classifier->labels();
  nn::ExampleReader reader(data, options);
  std::int64_t tokens = 0;
  while (const auto example = reader.next()) {
    tokens += static_cast<std::int64_t>(classifier->encode(example->text).ids.size());
  }
  return tokens;
}

json::object outcome_of(const JobFolder& folder, const cli::Metrics& metrics) {
  const json::object plan = read_object_file(folder.plan());
  const std::int64_t steps = metrics.steps.empty() ? 0 : metrics.steps.back().step;
  const double passes = static_cast<double>(steps) / std::max(1.0, plan.at("steps_of_epoch").to_number<double>());
  const double tokens = static_cast<double>(tokens_of(folder.model(), folder.path / "data.jsonl"));
  json::object outcome{{"trained_tokens", static_cast<std::int64_t>(tokens * passes)},
                       {"steps", steps},
                       {"train_loss", metrics.steps.empty() ? 0 : metrics.steps.back().loss},
                       {"training_texts", plan.at("training_texts")},
                       {"validation_texts", plan.at("validation_texts")},
                       {"labels", plan.at("labels")}};
  // The first of several equal ones, as the training keeps it.
  const auto best = std::ranges::max_element(metrics.evaluations, {}, &cli::EvaluationPoint::score);
  if (best != metrics.evaluations.end() && !best->sets.empty()) {
    const cli::DevScore& set = best->sets.front();
    outcome["best_step"] = best->step;
    outcome["validation"] = {
        {"accuracy", set.accuracy}, {"macro_recall", set.macro_recall}, {"macro_f1", set.macro_f1}};
  }
  if (is_there(folder.search())) outcome["search"] = read_object_file(folder.search());
  return outcome;
}

}  // namespace

void finish_training(const JobFolder& folder) {
  if (!is_there(folder.outcome())) {
    const cli::Metrics metrics = cli::read_metrics(folder.metrics());
    write_file_atomically(folder.results(), csv_of(metrics));
    write_file_atomically(folder.outcome(), json::serialize(outcome_of(folder, metrics)));
  }
  for (const char* name : {"checkpoints", "last"}) remove_tree(folder.model() / "run" / name);
  write_manifest(folder.model());
}

}  // namespace qing::serve
