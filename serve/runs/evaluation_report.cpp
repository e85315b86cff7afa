// The texts of an evaluation: tables for people and JSON for programs.
#include <fmt/format.h>

#include <algorithm>

#include <qing/nn/number_comparison.h>
#include <qing/nn/scale_metrics.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/runs/evaluation.h>

namespace qing::serve::cli {
namespace {

std::string shown(nn::Interval interval) { return fmt::format("[{:.4f}, {:.4f}]", interval.low, interval.high); }

void write_interval(JsonWriter& json, std::string_view name, nn::Interval interval) {
  json.key(name).begin_array().value(interval.low).value(interval.high).end();
}

// The members that the whole data and each source have in common.
void write_summary(JsonWriter& json, const nn::ConfusionMatrix& matrix) {
  json.member("accuracy", matrix.accuracy()).member("macro_recall", matrix.macro_recall());
  json.member("macro_f1", matrix.macro_f1()).member("examples", matrix.total());
  write_interval(json, "accuracy_interval", accuracy_interval(matrix));
  write_interval(json, "macro_recall_interval", macro_recall_interval(matrix));
  write_interval(json, "macro_f1_interval", macro_f1_interval(matrix));
}

void write_per_label(JsonWriter& json, const nn::ConfusionMatrix& matrix, const std::vector<std::string>& labels) {
  json.key("per_label").begin_object();
  for (int64_t i = 0; i < matrix.labels(); ++i) {
    const nn::LabelMetrics one = matrix.label(i);
    json.key(labels[static_cast<size_t>(i)]).begin_object();
    json.member("precision", one.precision).member("recall", one.recall).member("f1", one.f1);
    json.member("support", one.support);
    write_interval(json, "recall_interval", recall_interval(matrix, i));
    json.end();
  }
  json.end();
}

std::string label_table(const Evaluation& evaluation) {
  std::string text =
      fmt::format("{:<12} {:>9} {:>9} {:>18} {:>9} {:>9}\n", "label", "precision", "recall", "95%", "F1", "support");
  for (int64_t i = 0; i < evaluation.all.labels(); ++i) {
    const nn::LabelMetrics one = evaluation.all.label(i);
    text += fmt::format("{:<12} {:>9.4f} {:>9.4f} {:>18} {:>9.4f} {:>9}\n", evaluation.labels[static_cast<size_t>(i)],
                        one.precision, one.recall, shown(recall_interval(evaluation.all, i)), one.f1, one.support);
  }
  return text;
}

std::string confusion_table(const Evaluation& evaluation) {
  const nn::ConfusionMatrix& all = evaluation.all;
  std::string text = "confusion (rows: expected, columns: predicted)\n             ";
  for (const std::string& label : evaluation.labels) text += fmt::format("{:>12}", label);
  for (int64_t row = 0; row < all.labels(); ++row) {
    text += fmt::format("\n{:<13}", evaluation.labels[static_cast<size_t>(row)]);
    for (int64_t column = 0; column < all.labels(); ++column) text += fmt::format("{:>12}", all.count(row, column));
  }
  return text + "\n";
}

// One row per source, with the recall of each label. A dash means that the source has no such texts.
std::string source_table(const Evaluation& evaluation) {
  std::string text =
      fmt::format("{:<28} {:>9} {:>9} {:>9} {:>18} {:>9}", "source", "examples", "accuracy", "recall", "95%", "F1");
  for (const std::string& label : evaluation.labels) text += fmt::format(" {:>9}", label);
  for (const auto& [source, matrix] : evaluation.per_source) {
    text += fmt::format("\n{:<28} {:>9} {:>9.4f} {:>9.4f} {:>18} {:>9.4f}", source, matrix.total(), matrix.accuracy(),
                        matrix.macro_recall(), shown(macro_recall_interval(matrix)), matrix.macro_f1());
    for (int64_t i = 0; i < matrix.labels(); ++i) {
      const nn::LabelMetrics one = matrix.label(i);
      text += one.support > 0 ? fmt::format(" {:>9.4f}", one.recall) : fmt::format(" {:>9}", "-");
    }
  }
  return text;
}

}  // namespace

nn::Interval accuracy_interval(const nn::ConfusionMatrix& matrix) {
  int64_t right = 0;
  for (int64_t i = 0; i < matrix.labels(); ++i) right += matrix.count(i, i);
  return nn::wilson_interval(right, matrix.total());
}

nn::Interval recall_interval(const nn::ConfusionMatrix& matrix, int64_t label) {
  return nn::wilson_interval(matrix.count(label, label), matrix.label(label).support);
}

nn::Interval macro_recall_interval(const nn::ConfusionMatrix& matrix) {
  return nn::bootstrap_interval(matrix, &nn::ConfusionMatrix::macro_recall);
}

nn::Interval macro_f1_interval(const nn::ConfusionMatrix& matrix) {
  return nn::bootstrap_interval(matrix, &nn::ConfusionMatrix::macro_f1);
}

nn::Interval kappa_interval(const nn::ConfusionMatrix& matrix) {
  return nn::bootstrap_interval(matrix, nn::quadratic_weighted_kappa);
}

nn::Interval mae_interval(const nn::ConfusionMatrix& matrix, std::span<const double> places) {
  return nn::bootstrap_interval(
      matrix, [&](const nn::ConfusionMatrix& resample) { return nn::mean_absolute_error(resample, places); });
}

namespace {

std::vector<double> expected_places(const Evaluation& evaluation) {
  std::vector<double> expected;
  for (const int32_t label : evaluation.expected) expected.push_back(evaluation.places[static_cast<size_t>(label)]);
  return expected;
}

double mae_of_places(std::span<const double> expected, std::span<const double> predicted) {
  return nn::mean_absolute_error(expected, predicted);
}

}  // namespace

double value_error(const Evaluation& evaluation) {
  return nn::mean_absolute_error(expected_places(evaluation), evaluation.values);
}

nn::Interval value_error_interval(const Evaluation& evaluation) {
  return nn::bootstrap_interval(expected_places(evaluation), evaluation.values, mae_of_places);
}

std::string to_text(const Evaluation& evaluation) {
  const nn::ConfusionMatrix& all = evaluation.all;
  const nn::LabelledLogits logits = evaluation.labelled_logits();
  std::string text = fmt::format("examples      {}\n", all.total());
  const auto line = [&](const char* name, double value, nn::Interval interval) {
    text += fmt::format("{:<14}{:.4f}  95% {}\n", name, value, shown(interval));
  };
  line("accuracy", all.accuracy(), accuracy_interval(all));
  line("macro recall", all.macro_recall(), macro_recall_interval(all));
  line("macro F1", all.macro_f1(), macro_f1_interval(all));
  if (!evaluation.places.empty()) {
    line("QW kappa", nn::quadratic_weighted_kappa(all), kappa_interval(all));
    line("MAE", nn::mean_absolute_error(all, evaluation.places), mae_interval(all, evaluation.places));
    line("MAE of value", value_error(evaluation), value_error_interval(evaluation));
  }
  text += fmt::format("log loss      {:.4f}\ncalibration   {:.4f} expected error, temperature {:.4g}\n\n",
                      nn::log_loss(logits, evaluation.temperature),
                      nn::expected_calibration_error(logits, evaluation.temperature), evaluation.temperature);
  return text + label_table(evaluation) + "\n" + confusion_table(evaluation) + "\n" + source_table(evaluation);
}

std::string to_json(const Evaluation& evaluation, const std::string& worst) {
  const nn::ConfusionMatrix& all = evaluation.all;
  const nn::LabelledLogits logits = evaluation.labelled_logits();
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object();
  write_summary(json, all);
  json.member("log_loss", nn::log_loss(logits, evaluation.temperature));
  json.member("calibration_error", nn::expected_calibration_error(logits, evaluation.temperature));
  json.member("temperature", evaluation.temperature);
  if (!evaluation.places.empty()) {
    json.member("quadratic_weighted_kappa", nn::quadratic_weighted_kappa(all));
    write_interval(json, "quadratic_weighted_kappa_interval", kappa_interval(all));
    json.member("mae", nn::mean_absolute_error(all, evaluation.places));
    write_interval(json, "mae_interval", mae_interval(all, evaluation.places));
    json.member("mae_of_expected_value", value_error(evaluation));
    write_interval(json, "mae_of_expected_value_interval", value_error_interval(evaluation));
  }
  write_per_label(json, all, evaluation.labels);
  json.key("confusion").begin_array();
  for (int64_t row = 0; row < all.labels(); ++row) {
    json.begin_array();
    for (int64_t column = 0; column < all.labels(); ++column) json.value(all.count(row, column));
    json.end();
  }
  json.end().key("per_source").begin_object();
  for (const auto& [source, matrix] : evaluation.per_source) {
    json.key(source).begin_object();
    write_summary(json, matrix);
    write_per_label(json, matrix, evaluation.labels);
    json.end();
  }
  json.end();
  if (!worst.empty()) json.key("worst").raw(worst);
  return json.end().take();
}

}  // namespace qing::serve::cli
