#include <qing/nn/models/text_classifier.h>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/models/bert.h>
#include <qing/nn/models/explanation.h>
#include <qing/nn/models/integrated_gradients.h>
#include <qing/nn/models/ngram_head.h>
#include <qing/nn/models/text_classifier_files.h>
#include <qing/nn/safetensors.h>
#include <qing/nn/staged_directory.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/tensor/allocator.h>

namespace qing::nn {
namespace {

constexpr const char* kConfigFile = "config.json";
constexpr const char* kWeightsFile = "model.safetensors";
constexpr const char* kNgramsFile = "ngrams.safetensors";

// A configuration could request any amount of memory, so its size is compared with the weights file first. Smaller
// mismatches are left to load_state_dict, which lists all of them.
void check_size(const BertConfig& c, const SafetensorsFile& file, const std::filesystem::path& directory) {
  const auto width = static_cast<double>(c.hidden_size), inner = static_cast<double>(c.intermediate_size);
  const auto rows = static_cast<double>(c.vocab_size + c.max_position_embeddings + c.type_vocab_size);
  const double described = (rows + static_cast<double>(c.labels.size())) * width +
                           static_cast<double>(c.num_hidden_layers) * (4 * width * width + 2 * width * inner) +
                           width * width;
  double held = 0;
  for (const auto& [name, tensor] : file.tensors) held += static_cast<double>(tensor.numel());
  constexpr double kSlack = 1 << 20;
  if (described > 2 * held + kSlack) {
    throw DataError(fmt::format("{}: describes {:.0f} parameters, but {} holds {:.0f}; they are of different models",
                                (directory / kConfigFile).string(), described, kWeightsFile, held));
  }
}

class BertTextClassifier final : public TextClassifier {
 public:
  BertTextClassifier(std::unique_ptr<BertForSequenceClassification> model, std::unique_ptr<const NgramHead> ngrams,
                     Tokenizer tokenizer, DType precision)
      : model_(std::move(model)), ngrams_(std::move(ngrams)), tokenizer_(std::move(tokenizer)), precision_(precision) {}

  EncodedText encode(std::string_view text) const override {
    return {tokenizer_.encode(text), ngrams_ ? ngrams_->table().features(text) : NgramFeatures{}};
  }

  std::vector<Prediction> predict_encoded(std::span<const EncodedText> encodings) const override {
    std::vector<Prediction> predictions;
    if (encodings.empty()) return predictions;
    const NoGradGuard guard;
    const Tensor logits = forward(encodings);
    const Tensor scores = softmax(temperature() == 1 ? logits : logits / temperature());
    const int64_t count = logits.size(1);
    for (size_t i = 0; i < encodings.size(); ++i) {
      const float* row = scores.data<float>() + static_cast<int64_t>(i) * count;
      const float* raw = logits.data<float>() + static_cast<int64_t>(i) * count;
      predictions.push_back({.label = static_cast<int32_t>(std::max_element(raw, raw + count) - raw),
                             .scores = std::vector<float>(row, row + count),
                             .tokens = static_cast<int32_t>(encodings[i].ids.size()),
                             .truncated = encodings[i].truncated,
                             .logits = std::vector<float>(raw, raw + count),
                             .unknown = static_cast<int32_t>(std::ranges::count(encodings[i].ids, tokenizer_.unk_id())),
                             .blank = encodings[i].ids.size() == 2});
    }
    return predictions;
  }

  bool explains() const override { return true; }
  bool has_ngrams() const override { return ngrams_ != nullptr; }
  std::vector<Explanation> explain(std::span<const std::string> texts) const override {
    const std::vector<EncodedText> encodings = encode_all(texts);
    std::vector<int32_t> labels;
    for (const Prediction& prediction : predict_encoded(encodings)) labels.push_back(prediction.label);
    const NoGradGuard guard;
    const Tensor added = ngrams_ ? ngrams_->forward(ngrams_of(encodings)) : Tensor{};
    const std::vector<Attribution> attributions = integrated_gradients(
        *model_, std::vector<Encoding>(encodings.begin(), encodings.end()), labels, tokenizer_.pad_id(), added);
    std::vector<Explanation> explanations;
    for (size_t i = 0; i < texts.size(); ++i) {
      Explanation& explanation =
          explanations.emplace_back(explanation_of(attributions[i], encodings[i], labels[i], texts[i]));
      if (!ngrams_) continue;
      add_unread_words(explanation, texts[i], tokenizer_.options());
      add_ngrams(explanation, attributions[i], ngrams_->table().occurrences(texts[i]), ngrams_->weight());
      explanation.ngram_end = static_cast<uint32_t>(texts[i].size());
    }
    return explanations;
  }

  int32_t max_length() const override { return tokenizer_.options().max_length; }
  const std::vector<std::string>& labels() const override { return model_->config().labels; }
  double temperature() const override { return model_->config().calibration_temperature; }
  DType precision() const override { return precision_; }
  const DataProfile* reference() const override {
    const auto& reference = model_->config().reference;
    return reference ? &*reference : nullptr;
  }

 private:
  static std::vector<const NgramFeatures*> ngrams_of(std::span<const EncodedText> encodings) {
    std::vector<const NgramFeatures*> ngrams;
    for (const EncodedText& encoding : encodings) ngrams.push_back(&encoding.ngrams);
    return ngrams;
  }

  Tensor forward(std::span<const EncodedText> encodings) const {
    std::vector<std::span<const int32_t>> sequences;
    for (const EncodedText& encoding : encodings) sequences.emplace_back(encoding.ids);
    const Tensor logits = model_->forward(RaggedBatch::of(sequences));
    return ngrams_ ? logits + ngrams_->forward(ngrams_of(encodings)) : logits;
  }

  std::unique_ptr<const BertForSequenceClassification> model_;
  std::unique_ptr<const NgramHead> ngrams_;
  Tokenizer tokenizer_;
  DType precision_;
};

}  // namespace

std::vector<EncodedText> TextClassifier::encode_all(std::span<const std::string> texts) const {
  std::vector<EncodedText> encodings;
  encodings.reserve(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    try {
      encodings.push_back(encode(texts[i]));
    } catch (const DataError& error) { throw DataError(fmt::format("text {}: {}", i, error.what())); }
  }
  return encodings;
}

std::vector<Prediction> TextClassifier::predict(std::span<const std::string> texts) const {
  return predict_encoded(encode_all(texts));
}

std::vector<Explanation> TextClassifier::explain(std::span<const std::string>) const {
  throw ValueError("explain: this classifier has no explanations");
}

std::shared_ptr<const TextClassifier> TextClassifier::load(const std::filesystem::path& directory, DType precision) {
  const LongLivedAllocations weights;
  const BertConfig config = BertConfig::load(directory / kConfigFile);
  Tokenizer tokenizer = Tokenizer::load(directory, static_cast<int32_t>(config.max_position_embeddings));
  if (tokenizer.vocab_size() > config.vocab_size || tokenizer.options().max_length > config.max_position_embeddings) {
    throw DataError(
        fmt::format("{}: the tokenizer has {} entries and texts of up to {} tokens; the model has room for "
                    "{} and {}",
                    directory.string(), tokenizer.vocab_size(), tokenizer.options().max_length, config.vocab_size,
                    config.max_position_embeddings));
  }
  const SafetensorsFile file = load_safetensors(directory / kWeightsFile);
  check_size(config, file, directory);
  Generator unused;
  auto model = std::make_unique<BertForSequenceClassification>(config, unused);
  try {
    // Older files of transformers have a buffer with the positions 0, 1, ...
    model->load_state_dict(file.tensors, true, {"bert.embeddings.position_ids"});
  } catch (const DataError& error) { throw DataError((directory / kWeightsFile).string() + ": " + error.what()); }
  pack_linear_layers(*model, precision);
  std::unique_ptr<const NgramHead> ngrams;
  if (config.ngram_head) {
    ngrams = std::make_unique<const NgramHead>(
        NgramHead::load(directory / kNgramsFile, tokenizer.options(), static_cast<int64_t>(config.labels.size())));
  }
  return std::make_shared<BertTextClassifier>(std::move(model), std::move(ngrams), std::move(tokenizer), precision);
}

void save_text_classifier(const std::filesystem::path& directory, BertForSequenceClassification& model,
                          const Tokenizer& tokenizer, NgramHead* ngrams) {
  StagedDirectory staged(directory);
  BertConfig config = model.config();
  config.ngram_head = ngrams != nullptr;
  config.save(staged.path() / kConfigFile);
  tokenizer.save(staged.path());
  // transformers requires the format "pt" in the metadata.
  save_safetensors(staged.path() / kWeightsFile, {.tensors = model.state_dict(), .metadata = {{"format", "pt"}}});
  if (ngrams) ngrams->save(staged.path() / kNgramsFile);
  staged.commit();
}

}  // namespace qing::nn
