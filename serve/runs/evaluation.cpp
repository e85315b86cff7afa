#include <qing/serve/runs/evaluation.h>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include <qing/nn/models/classifier_config.h>
#include <qing/nn/text/normalizer.h>
#include <qing/serve/common/usage_error.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace {

// Large enough to keep all cores busy, and small enough for activations to stay in the caches. The results do not
// depend on it.
constexpr size_t kBatchTexts = 64;

// Finds the text because of which the batch was refused.
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

std::vector<std::string> names_of(std::span<const std::filesystem::path> files,
                                  std::span<const std::filesystem::path> among) {
  std::vector<std::string> names;
  for (const auto& file : files) {
    const auto same_name = [&](const auto& other) { return other.filename() == file.filename(); };
    names.push_back((std::ranges::count_if(among, same_name) > 1 ? file : file.filename()).string());
  }
  return names;
}

void name_sources(std::vector<nn::Example>& examples, const std::string& name) {
  for (nn::Example& example : examples) {
    if (nn::is_blank(example.source)) example.source = name;
  }
}

void check_distinct(std::span<const std::filesystem::path> files) {
  for (size_t i = 0; i < files.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      std::error_code unreadable;  // reading the file reports the error
      if (!std::filesystem::equivalent(files[i], files[j], unreadable)) continue;
      throw UsageError(fmt::format("{} is the same file as {}; give it once, because its texts would count twice",
                                   files[i].string(), files[j].string()));
    }
  }
}

std::vector<nn::Example> read_examples(std::span<const std::filesystem::path> files,
                                       const nn::DatasetOptions& options) {
  check_distinct(files);
  const std::vector<std::string> names = names_of(files, files);
  std::vector<nn::Example> examples;
  for (size_t i = 0; i < files.size(); ++i) {
    std::vector<nn::Example> of_file = nn::read_dataset(files[i], options);
    name_sources(of_file, names[i]);
    for (nn::Example& example : of_file) example.group = static_cast<int32_t>(i);
    std::ranges::move(of_file, std::back_inserter(examples));
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
  if (model.problem() == nn::Problem::multi_label || model.problem() == nn::Problem::regression) {
    throw ValueError(fmt::format("evaluate: the model is a {} one", name_of(model.problem())));
  }
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
  if (model.problem() == nn::Problem::ordinal) {
    evaluation.places = nn::places_of(model.labels());
    for (const nn::Prediction& prediction : predictions) evaluation.values.push_back(prediction.value);
  }
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
  nn::ClassifierConfig config = nn::ClassifierConfig::load(model / "config.json");
  config.reference = profile;
  config.save(model / "config.json");
}

}  // namespace qing::serve::cli
