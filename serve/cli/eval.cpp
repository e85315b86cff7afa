// `qing eval`, and the text form of an evaluation.
#include <fmt/format.h>

#include <algorithm>

#include <qing/serve/cli/commands.h>
#include <qing/serve/cli/shipped_model.h>
#include <qing/serve/common/output.h>
#include <qing/serve/reports/charts.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {
namespace {

std::string shown(nn::Interval interval) { return fmt::format("[{:.4f}, {:.4f}]", interval.low, interval.high); }

std::string json_interval(nn::Interval interval) {
  return "[" + json_number(interval.low) + ", " + json_number(interval.high) + "]";
}

JsonObject summary(const nn::ConfusionMatrix& matrix) {
  JsonObject object;
  object.number("accuracy", matrix.accuracy());
  object.number("macro_recall", matrix.macro_recall());
  object.number("macro_f1", matrix.macro_f1());
  object.integer("examples", matrix.total());
  object.raw("accuracy_interval", json_interval(accuracy_interval(matrix)));
  object.raw("macro_recall_interval", json_interval(macro_recall_interval(matrix)));
  object.raw("macro_f1_interval", json_interval(macro_f1_interval(matrix)));
  return object;
}

std::string json_per_label(const nn::ConfusionMatrix& matrix, const std::vector<std::string>& labels) {
  JsonObject object;
  for (int64_t i = 0; i < matrix.labels(); ++i) {
    const nn::LabelMetrics one = matrix.label(i);
    JsonObject label;
    label.number("precision", one.precision).number("recall", one.recall).number("f1", one.f1);
    label.integer("support", one.support).raw("recall_interval", json_interval(recall_interval(matrix, i)));
    object.raw(labels[static_cast<size_t>(i)], label.str());
  }
  return object.str();
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

// Each row has the recall of each label, or a dash if the source has no such texts.
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

void write_confusion_chart(const std::filesystem::path& file, const Evaluation& evaluation) {
  std::vector<std::pair<std::string, nn::ConfusionMatrix>> matrices = {{"all texts", evaluation.all}};
  if (evaluation.per_source.size() > 1) {
    matrices.insert(matrices.end(), evaluation.per_source.begin(), evaluation.per_source.end());
  }
  write_file_atomically(file, confusion_chart(evaluation.labels, matrices));
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
  text += fmt::format("log loss      {:.4f}\ncalibration   {:.4f} expected error, temperature {:.4g}\n\n",
                      nn::log_loss(logits, evaluation.temperature),
                      nn::expected_calibration_error(logits, evaluation.temperature), evaluation.temperature);
  return text + label_table(evaluation) + "\n" + confusion_table(evaluation) + "\n" + source_table(evaluation);
}

std::string to_json(const Evaluation& evaluation) {
  const nn::ConfusionMatrix& all = evaluation.all;
  const nn::LabelledLogits logits = evaluation.labelled_logits();
  std::string confusion;
  for (int64_t row = 0; row < all.labels(); ++row) {
    std::string cells;
    for (int64_t column = 0; column < all.labels(); ++column) {
      cells += fmt::format("{}{}", column > 0 ? ", " : "", all.count(row, column));
    }
    confusion += fmt::format("{}[{}]", row > 0 ? ", " : "", cells);
  }
  JsonObject per_source;
  for (const auto& [source, matrix] : evaluation.per_source) {
    per_source.raw(source, summary(matrix).raw("per_label", json_per_label(matrix, evaluation.labels)).str());
  }
  JsonObject object = summary(all);
  object.number("log_loss", nn::log_loss(logits, evaluation.temperature));
  object.number("calibration_error", nn::expected_calibration_error(logits, evaluation.temperature));
  object.number("temperature", evaluation.temperature);
  object.raw("per_label", json_per_label(all, evaluation.labels)).raw("confusion", "[" + confusion + "]");
  return object.raw("per_source", per_source.str()).str();
}

void run_eval(const EvalArguments& arguments) {
  const std::filesystem::path folder = model_or_shipped(arguments.model);
  const auto model = nn::TextClassifier::load(folder, arguments.precision);
  nn::DatasetOptions options;
  options.labels = model->labels();
  const std::vector<nn::Example> examples = read_examples(arguments.data, options);
  const Evaluation evaluation = evaluate(*model, examples);
  if (!arguments.confusion.empty()) write_confusion_chart(arguments.confusion, evaluation);
  if (arguments.reference) keep_reference(folder, evaluation.profile);
  print_line(to_text(evaluation));
  if (arguments.json) print_line(to_json(evaluation));
}

}  // namespace qing::serve::cli
