#include <qing/serve/cli/evaluation.h>

#include <fmt/format.h>

#include <algorithm>

#include <qing/nn/models/bert_config.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace {

// Enough for every core to be busy, and little enough for the layers' outputs to stay in the caches; the results do not
// depend on it.
constexpr size_t kBatchTexts = 64;

// The batch was refused: finds the text that is to blame.
[[noreturn]] void blame(const nn::TextClassifier& model, std::span<const std::string> batch, size_t first,
                        const std::function<std::string(size_t)>& where, const DataError& error) {
  for (size_t i = 0; i < batch.size(); ++i) {
    try {
      model.predict(batch.subspan(i, 1));
    } catch (const DataError& one) { throw DataError(fmt::format("{}: {}", where(first + i), one.what())); }
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
    } catch (const DataError& error) { blame(model, batch, first, where, error); }
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
  Evaluation evaluation{.labels = model.labels(),
                        .all = nn::ConfusionMatrix(labels),
                        .per_source = {},
                        .logits = {},
                        .expected = {},
                        .temperature = model.temperature(),
                        .profile = {.labels = std::vector<int64_t>(model.labels().size())}};
  evaluation.profile.add(predictions);
  for (size_t i = 0; i < examples.size(); ++i) {
    evaluation.expected.push_back(examples[i].label);
    evaluation.logits.insert(evaluation.logits.end(), predictions[i].logits.begin(), predictions[i].logits.end());
    evaluation.all.add(examples[i].label, predictions[i].label);
    auto& source = evaluation.per_source.try_emplace(examples[i].source, labels).first->second;
    source.add(examples[i].label, predictions[i].label);
  }
  return evaluation;
}

void keep_reference(const std::filesystem::path& model, const nn::DataProfile& profile) {
  nn::BertConfig config = nn::BertConfig::load(model / "config.json");
  config.reference = profile;
  config.save(model / "config.json");
}

}  // namespace qing::serve::cli
