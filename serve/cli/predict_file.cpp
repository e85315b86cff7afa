#include <qing/serve/cli/predict_file.h>

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <qing/nn/data/label_sets.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/serve/cli/column_run.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/serve/runs/multi_label_evaluation.h>
#include <qing/serve/runs/table_writer.h>

namespace qing::serve::cli {
namespace {

std::vector<std::string> predicted_columns(const PredictFile& a, const nn::TextClassifier& model) {
  std::vector<std::string> columns;
  switch (model.problem()) {
    case nn::Problem::regression: return {"value"};
    case nn::Problem::multi_label:
      columns = a.label_columns.empty() ? std::vector<std::string>{"label"} : a.label_columns;
      break;
    case nn::Problem::ordinal: columns = {"label", "score", "value"}; break;
    default: columns = {"label", "score"};
  }
  for (const std::string& label : model.labels()) columns.push_back("score_" + label);
  return columns;
}

std::vector<AddedValue> values_of_labels(const PredictFile& a, const std::vector<std::string>& predicted) {
  if (a.label_columns.empty()) return {{nn::joined_labels(predicted), false}};
  std::vector<AddedValue> values;
  for (const std::string& label : a.label_columns) {
    values.push_back({std::ranges::count(predicted, label) > 0 ? "1" : "0", true});
  }
  return values;
}

// In the order of the columns.
std::vector<AddedValue> values_of(const PredictFile& a, const nn::TextClassifier& model,
                                  const nn::Prediction& prediction) {
  const auto number = [](float value) { return AddedValue{fmt::format("{}", value), true}; };
  std::vector<AddedValue> values;
  switch (model.problem()) {
    case nn::Problem::regression: return {number(prediction.scores.front())};
    case nn::Problem::multi_label:
      values = values_of_labels(a, names_of_labels(model.labels(), prediction.labels));
      break;
    default: {
      const auto label = static_cast<size_t>(prediction.label);
      values = {{model.labels()[label], false}, number(prediction.scores[label])};
    }
  }
  if (model.problem() == nn::Problem::ordinal) values.push_back(number(static_cast<float>(prediction.value)));
  for (const float score : prediction.scores) values.push_back(number(score));
  return values;
}

void check_label_columns(const PredictFile& a, const nn::TextClassifier& model) {
  if (a.label_columns.empty()) return;
  cli::check_label_columns({.label_columns = a.label_columns}, model.problem());
  check_names("--label-columns", a.label_columns);
  if (output_format_of(a.out) == OutputFormat::text) {
    throw UsageError("--label-columns: a .txt of --out has no columns; name it .csv, .tsv, .jsonl, .json or .xlsx");
  }
  for (const std::string& label : a.label_columns) {
    if (std::ranges::count(model.labels(), label) > 0) continue;
    throw UsageError(fmt::format("--label-columns: the model has no label '{}'; its labels are {}", label,
                                 fmt::join(model.labels(), ", ")));
  }
}

}  // namespace

void predict_file(const PredictFile& a) {
  output_format_of(a.out);  // refuses before the model is loaded
  const auto model = nn::TextClassifier::load(a.model, a.precision);
  check_label_columns(a, *model);
  ColumnRun run{.file = a.file,
                .out = a.out,
                .table = a.table,
                .columns = predicted_columns(a, *model),
                .depends_on = files_of_model(a.model),
                .several_labels = model->problem() == nn::Problem::multi_label,
                .compute = {}};
  run.depends_on.emplace_back(name_of(a.precision));
  run.depends_on.insert(run.depends_on.end(), a.label_columns.begin(), a.label_columns.end());
  run.compute = [&](const std::vector<std::string>& texts, const Where& where) {
    std::vector<std::vector<AddedValue>> values;
    for (const nn::Prediction& prediction : predict_all(*model, texts, where)) {
      values.push_back(values_of(a, *model, prediction));
    }
    return values;
  };
  add_columns(run);
}

}  // namespace qing::serve::cli
