#include <qing/serve/cli/evaluation.h>

#include <fmt/format.h>

#include <algorithm>

#include <qing/serve/cli/commands.h>
#include <qing/serve/cli/output.h>

namespace qing::serve::cli {
namespace {

// Enough for every core to be busy; the results do not depend on it.
constexpr size_t kBatchTexts = 256;

JsonObject summary(const nn::ConfusionMatrix& matrix) {
  JsonObject object;
  object.number("accuracy", matrix.accuracy());
  object.number("macro_recall", matrix.macro_recall());
  object.number("macro_f1", matrix.macro_f1());
  object.integer("examples", matrix.total());
  return object;
}

// The batch was refused: finds the text that is to blame.
[[noreturn]] void blame(const nn::TextClassifier& model, std::span<const std::string> batch, size_t first,
                        const std::function<std::string(size_t)>& where, const DataError& error) {
  for (size_t i = 0; i < batch.size(); ++i) {
    try {
      model.predict(batch.subspan(i, 1));
    } catch (const DataError& one) {
      throw DataError(fmt::format("{}: {}", where(first + i), one.what()));
    }
  }
  throw error;
}

}  // namespace

std::vector<nn::Example> read_examples(std::span<const std::filesystem::path> files,
                                       const nn::DatasetOptions& options) {
  std::vector<nn::Example> examples;
  for (const auto& file : files) {
    for (nn::Example& example : nn::read_dataset(file, options)) {
      if (example.source.empty()) example.source = file.filename().string();
      examples.push_back(std::move(example));
    }
  }
  return examples;
}

std::vector<nn::Prediction> predict_all(const nn::TextClassifier& model, std::span<const std::string> texts,
                                        const std::function<std::string(size_t)>& where) {
  std::vector<nn::Prediction> predictions;
  predictions.reserve(texts.size());
  for (size_t first = 0; first < texts.size(); first += kBatchTexts) {
    const auto batch = texts.subspan(first, std::min(kBatchTexts, texts.size() - first));
    try {
      for (nn::Prediction& prediction : model.predict(batch)) predictions.push_back(std::move(prediction));
    } catch (const DataError& error) {
      blame(model, batch, first, where, error);
    }
  }
  return predictions;
}

Evaluation evaluate(const nn::TextClassifier& model, std::span<const nn::Example> examples) {
  std::vector<std::string> texts;
  texts.reserve(examples.size());
  for (const nn::Example& example : examples) texts.push_back(example.text);
  const auto where = [&](size_t i) { return fmt::format("{}, example {}", examples[i].source, i + 1); };
  const std::vector<nn::Prediction> predictions = predict_all(model, texts, where);

  const auto labels = static_cast<int64_t>(model.labels().size());
  Evaluation evaluation{model.labels(), nn::ConfusionMatrix(labels), {}};
  for (size_t i = 0; i < examples.size(); ++i) {
    evaluation.all.add(examples[i].label, predictions[i].label);
    auto& source = evaluation.per_source.try_emplace(examples[i].source, labels).first->second;
    source.add(examples[i].label, predictions[i].label);
  }
  return evaluation;
}

std::string to_text(const Evaluation& evaluation) {
  const nn::ConfusionMatrix& all = evaluation.all;
  std::string text =
      fmt::format("examples      {}\naccuracy      {:.4f}\nmacro recall  {:.4f}\nmacro F1      {:.4f}\n\n", all.total(),
                  all.accuracy(), all.macro_recall(), all.macro_f1());
  text += fmt::format("{:<12} {:>9} {:>9} {:>9} {:>9}\n", "label", "precision", "recall", "F1", "support");
  for (int64_t i = 0; i < all.labels(); ++i) {
    const nn::LabelMetrics one = all.label(i);
    text += fmt::format("{:<12} {:>9.4f} {:>9.4f} {:>9.4f} {:>9}\n", evaluation.labels[i], one.precision, one.recall,
                        one.f1, one.support);
  }
  text += "\nconfusion (rows: expected, columns: predicted)\n             ";
  for (const std::string& label : evaluation.labels) text += fmt::format("{:>12}", label);
  for (int64_t row = 0; row < all.labels(); ++row) {
    text += fmt::format("\n{:<13}", evaluation.labels[row]);
    for (int64_t column = 0; column < all.labels(); ++column) text += fmt::format("{:>12}", all.count(row, column));
  }
  text += fmt::format("\n\n{:<28} {:>9} {:>9} {:>9} {:>9}\n", "source", "examples", "accuracy", "recall", "F1");
  for (const auto& [source, matrix] : evaluation.per_source) {
    text += fmt::format("{:<28} {:>9} {:>9.4f} {:>9.4f} {:>9.4f}\n", source, matrix.total(), matrix.accuracy(),
                        matrix.macro_recall(), matrix.macro_f1());
  }
  text.pop_back();  // print_line ends the line
  return text;
}

std::string to_json(const Evaluation& evaluation) {
  const nn::ConfusionMatrix& all = evaluation.all;
  JsonObject per_label, per_source;
  std::string confusion;
  for (int64_t row = 0; row < all.labels(); ++row) {
    const nn::LabelMetrics one = all.label(row);
    JsonObject label;
    label.number("precision", one.precision).number("recall", one.recall).number("f1", one.f1);
    per_label.raw(evaluation.labels[row], label.integer("support", one.support).str());
    std::string cells;
    for (int64_t column = 0; column < all.labels(); ++column) {
      cells += fmt::format("{}{}", column > 0 ? ", " : "", all.count(row, column));
    }
    confusion += fmt::format("{}[{}]", row > 0 ? ", " : "", cells);
  }
  for (const auto& [source, matrix] : evaluation.per_source) per_source.raw(source, summary(matrix).str());
  JsonObject object = summary(all);
  object.raw("per_label", per_label.str()).raw("confusion", "[" + confusion + "]");
  return object.raw("per_source", per_source.str()).str();
}

void run_eval(const EvalArguments& arguments) {
  const auto model = nn::TextClassifier::load(arguments.model);
  nn::DatasetOptions options;
  options.labels = model->labels();
  const std::vector<nn::Example> examples = read_examples(arguments.data, options);
  const Evaluation evaluation = evaluate(*model, examples);
  print_line(to_text(evaluation));
  if (arguments.json) print_line(to_json(evaluation));
}

}  // namespace qing::serve::cli
