#include <qing/nn/exports/export_source.h>

#include <fmt/format.h>

#include <qing/nn/models/pretrained.h>
#include <qing/nn/models/text_classifier.h>
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

}  // namespace

ExportSource load_export_source(const std::filesystem::path& directory) {
  // The server's way to load it checks all files against each other.
  const auto checked = TextClassifier::load(directory);
  const ClassifierConfig config = ClassifierConfig::load(directory / "config.json");
  check_supported(config.encoder, directory);
  ExportSource source{
      .encoder = load_sequence_classifier(directory),
      .ngrams = nullptr,
      .tokenizer = Tokenizer::load(directory, static_cast<int32_t>(config.encoder.max_tokens())),
      .labels = checked->labels(),
      .temperature = checked->temperature(),
      .tensors = {},
  };
  source.tensors = source.encoder->state_dict();
  if (checked->has_ngrams()) {
    source.ngrams = std::make_unique<NgramHead>(NgramHead::load(
        directory / "ngrams.safetensors", source.tokenizer.options(), static_cast<int64_t>(source.labels.size())));
  }
  return source;
}

StateDict ngram_tensors(const NgramHead& head) {
  StateDict tensors = head.table().state_dict();
  tensors["idf"] = tensors.at("idf").to(DType::f16);
  tensors["weight"] = head.weight().to(DType::f16).contiguous();
  return tensors;
}

}  // namespace qing::nn
