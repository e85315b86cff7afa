#include <qing/nn/exports/export_source.h>

#include <qing/nn/models/text_classifier.h>
#include <qing/nn/formats/safetensors.h>

namespace qing::nn {

ExportSource load_export_source(const std::filesystem::path& directory) {
  // The server's way to load it checks all files against each other.
  const auto checked = TextClassifier::load(directory);
  const ClassifierConfig config = ClassifierConfig::load(directory / "config.json");
  Generator unused;
  ExportSource source{
      .encoder = std::make_unique<BertForSequenceClassification>(config, unused),
      .ngrams = nullptr,
      .tokenizer = Tokenizer::load(directory, static_cast<int32_t>(config.encoder.max_position_embeddings)),
      .labels = checked->labels(),
      .temperature = checked->temperature(),
      .tensors = {},
  };
  source.encoder->load_state_dict(load_safetensors(directory / "model.safetensors").tensors, true,
                                  {"bert.embeddings.position_ids"});
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
