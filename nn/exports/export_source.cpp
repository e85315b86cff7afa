#include <qing/nn/exports/export_source.h>

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

#include <qing/nn/models/sentence_embedding.h>
#include <qing/nn/models/sentence_modules.h>
#include <qing/nn/models/text_classifier_files.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

// What the writers know to write.
void check_supported(const EncoderConfig& config, const std::filesystem::path& directory) {
  if (config.family == EncoderFamily::bert && config.hidden_act == FeedForwardActivation::gelu) return;
  throw DataError(
      fmt::format("{}: export supports BERT with the activation gelu only, not the model_type \"{}\" with other "
                  "settings",
                  (directory / "config.json").string(), names_of(config.family).model_type));
}

ExportSource load_embedding_source(const std::filesystem::path& directory) {
  SentenceParts parts = load_sentence_parts(directory);
  check_supported(parts.config, parts.modules.encoder);
  if (!parts.modules.prompt.empty()) {
    throw DataError(
        fmt::format("{}: export supports no default prompt, which the exported model would lose", directory.string()));
  }
  StateDict tensors = parts.model->state_dict();
  return {.labels = {},
          .temperature = 1,
          .encoder_config = parts.config,
          .encoder = nullptr,
          .ngrams = nullptr,
          .tokenizer = std::move(parts.tokenizer),
          .tensors = std::move(tensors),
          .sentence = parts.modules.options};
}

}  // namespace

std::vector<std::pair<std::string, std::string>> problem_facts(const ExportSource& source) {
  const auto list = [](const std::vector<double>& numbers) {
    return boost::json::serialize(boost::json::array(numbers.begin(), numbers.end()));
  };
  std::vector<std::pair<std::string, std::string>> facts = {{"problem", std::string(name_of(source.problem))}};
  if (source.problem == Problem::multi_label) facts.emplace_back("thresholds", list(source.thresholds));
  if (source.problem == Problem::ordinal) facts.emplace_back("places", list(places_of(source.labels)));
  return facts;
}

ExportSource load_export_source(const std::filesystem::path& directory) {
  if (holds_sentence_embedding(directory)) return load_embedding_source(directory);
  ClassifierParts parts = load_classifier_parts(directory);
  const ClassifierConfig& config = parts.model->config();
  check_supported(config.encoder, directory);
  StateDict tensors = parts.model->state_dict();
  const Problem problem = config.problem;
  std::vector<double> thresholds = config.thresholds;
  // A program that decides by the file needs the numbers that qing takes where none were fitted.
  if (problem == Problem::multi_label && thresholds.empty()) thresholds.assign(config.labels.size(), 0.5);
  return {.labels = config.labels,
          .temperature = config.calibration_temperature,
          .encoder_config = config.encoder,
          .encoder = std::move(parts.model),
          .ngrams = std::move(parts.ngrams),
          .tokenizer = std::move(parts.tokenizer),
          .tensors = std::move(tensors),
          .problem = problem,
          .thresholds = std::move(thresholds)};
}

}  // namespace qing::nn
