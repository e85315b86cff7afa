#include <qing/nn/models/text_classifier.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <system_error>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/models/encoder_heads.h>
#include <qing/nn/models/explanation.h>
#include <qing/nn/models/integrated_gradients.h>
#include <qing/nn/models/label_names.h>
#include <qing/nn/models/ngram_head.h>
#include <qing/nn/models/parameter_names.h>
#include <qing/nn/models/pretrained.h>
#include <qing/nn/models/text_classifier_files.h>
#include <qing/nn/staged_directory.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/tensor/allocator.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

constexpr const char* kWeightsFile = "model.safetensors";
constexpr double kDefaultThreshold = 0.5;

std::vector<double> thresholds_of(const ClassifierConfig& config) {
  if (config.problem != Problem::multi_label) return {};
  if (!config.thresholds.empty()) return config.thresholds;
  return std::vector<double>(config.labels.size(), kDefaultThreshold);
}

class EncoderTextClassifier final : public TextClassifier {
 public:
  EncoderTextClassifier(std::unique_ptr<EncoderForSequenceClassification> model, std::unique_ptr<NgramHead> ngrams,
                        Tokenizer tokenizer, DType precision)
      : weight_bytes_(bytes_with_copies(*model) + (ngrams ? ngrams->bytes() : 0)),
        model_(std::move(model)),
        ngrams_(std::move(ngrams)),
        tokenizer_(std::move(tokenizer)),
        precision_(precision),
        thresholds_(thresholds_of(model_->config())) {
    if (problem() == Problem::ordinal) places_ = places_of(labels());
  }

  EncodedText encode(std::string_view text) const override {
    EncodedText encoded = encode_text(tokenizer_, text);
    if (ngrams_) encoded.ngrams = ngrams_->table().features(text);
    return encoded;
  }

  std::vector<Prediction> predict_encoded(std::span<const EncodedText> encodings) const override {
    std::vector<Prediction> predictions;
    if (encodings.empty()) return predictions;
    const NoGradGuard guard;
    const Tensor logits = forward(encodings);
    const Tensor scores = scores_of(logits);
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
                             .blank = std::ssize(encodings[i].ids) == tokenizer_.special_tokens()});
      complete(predictions.back());
    }
    return predictions;
  }

  bool explains() const override { return problem() != Problem::regression; }  // its output is no probability
  bool has_ngrams() const override { return ngrams_ != nullptr; }
  std::vector<Explanation> explain(std::span<const std::string> texts) const override {
    if (!explains()) return TextClassifier::explain(texts);
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

  const Tokenizer* tokenizer() const override { return &tokenizer_; }
  int32_t max_length() const override { return tokenizer_.options().max_length; }
  const std::vector<std::string>& labels() const override { return model_->config().labels; }
  Problem problem() const override { return model_->config().problem; }
  std::span<const double> thresholds() const override { return thresholds_; }
  double temperature() const override { return model_->config().calibration_temperature; }
  DType precision() const override { return precision_; }
  size_t weight_bytes() const override { return weight_bytes_; }
  const DataProfile* reference() const override {
    const auto& reference = model_->config().reference;
    return reference ? &*reference : nullptr;
  }

 private:
  Tensor scores_of(const Tensor& logits) const {
    if (problem() == Problem::regression) return logits;
    const Tensor scaled = temperature() == 1 ? logits : logits / temperature();
    return problem() == Problem::multi_label ? sigmoid(scaled) : softmax(scaled);
  }

  // What the scores mean for the kind of problem.
  void complete(Prediction& prediction) const {
    if (problem() == Problem::regression) prediction.value = prediction.scores.front();
    for (size_t i = 0; i < thresholds_.size(); ++i) {
      if (prediction.scores[i] >= thresholds_[i]) prediction.labels.push_back(static_cast<int32_t>(i));
    }
    for (size_t i = 0; i < places_.size(); ++i) prediction.value += places_[i] * double{prediction.scores[i]};
  }

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

  const size_t weight_bytes_;
  std::unique_ptr<const EncoderForSequenceClassification> model_;
  std::unique_ptr<const NgramHead> ngrams_;
  Tokenizer tokenizer_;
  DType precision_;
  std::vector<double> thresholds_;  // of a multi-label classifier
  std::vector<double> places_;      // of ordered labels
};

}  // namespace

EncodedText TextClassifier::encode_text(const Tokenizer& tokenizer, std::string_view text) {
  EncodedText encoded{tokenizer.encode(text)};
  if (encoded.ids.empty()) {
    throw DataError("the text has no tokens, and the tokenizer adds none; send a text with a visible character");
  }
  return encoded;
}

std::vector<EncodedText> TextClassifier::encode_all(std::span<const std::string> texts) const {
  constexpr size_t kThreadBytes = 1024;  // the least that are worth another thread
  size_t bytes = 1;
  for (const std::string& text : texts) bytes += text.size();
  const auto grain = static_cast<int64_t>(std::max<size_t>(1, texts.size() * kThreadBytes / bytes));
  std::vector<EncodedText> encodings(texts.size());
  // The error of each text. The first is thrown, whatever the number of threads.
  std::vector<std::exception_ptr> errors(texts.size());
  parallel_for(std::ssize(texts), grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      try {
        encodings[i] = encode(texts[i]);
      } catch (const DataError& error) {
        errors[i] = std::make_exception_ptr(DataError(fmt::format("text {}: {}", i, error.what())));
      } catch (...) { errors[i] = std::current_exception(); }
    }
  });
  const auto error = std::ranges::find_if(errors, [](const std::exception_ptr& e) { return e != nullptr; });
  if (error != errors.end()) std::rethrow_exception(*error);
  return encodings;
}

std::vector<TensorDescription> TextClassifier::inputs() const { return {{"text", "BYTES", {-1}}}; }

std::vector<TensorDescription> TextClassifier::outputs() const {
  if (embeds()) return {};
  const auto width = static_cast<int64_t>(labels().size());
  std::vector<TensorDescription> tensors = {{"label", "BYTES", {-1}},
                                            {"score", "FP32", {-1}},
                                            {"scores", "FP32", {-1, width}},
                                            {"logits", "FP32", {-1, width}}};
  if (problem() == Problem::multi_label) tensors.push_back({"labels", "BYTES", {-1}});
  if (problem() == Problem::ordinal || problem() == Problem::regression) tensors.push_back({"value", "FP32", {-1}});
  return tensors;
}

bool TextClassifier::can_replace(const TaskModel& other) const {
  const auto* classifier = dynamic_cast<const TextClassifier*>(&other);
  return classifier != nullptr && labels() == classifier->labels() && problem() == classifier->problem() &&
         embedding().size == classifier->embedding().size;
}

std::string TextClassifier::answer_kind() const {
  if (embeds()) return fmt::format("vectors of {} numbers", embedding().size);
  if (problem() == Problem::single_label) return TaskModel::answer_kind();
  return fmt::format("{} ({})", TaskModel::answer_kind(), name_of(problem()));
}

void TextClassifier::try_out() const {
  try {
    if (!embeds()) check_label_names(labels());  // they are keys of answers
  } catch (const ValueError& error) { throw DataError(error.what()); }
  const auto width = static_cast<size_t>(embedding().size);
  const std::string text = "warm-up 热身";
  const std::vector<Prediction> predictions = predict(std::span(&text, 1));
  const auto whole = [](const std::vector<float>& numbers, size_t count) {
    return numbers.size() == count && std::ranges::all_of(numbers, [](float number) { return std::isfinite(number); });
  };
  if (predictions.size() != 1 || !whole(predictions.front().scores, labels().size()) ||
      !whole(predictions.front().embedding, width)) {
    throw DataError(fmt::format("its first prediction lacks a finite {}; check the weights",
                                embeds() ? "vector" : "score for each label"));
  }
}

std::vector<Prediction> TextClassifier::predict(std::span<const std::string> texts) const {
  return predict_encoded(encode_all(texts));
}

std::vector<Explanation> TextClassifier::explain(std::span<const std::string>) const {
  throw ValueError("explain: this classifier has no explanations");
}

std::shared_ptr<const TextClassifier> TextClassifier::load(const std::filesystem::path& directory, DType precision) {
  const LongLivedAllocations weights;
  ClassifierParts parts = load_classifier_parts(directory);
  pack_for_inference(*parts.model, precision);
  return std::make_shared<EncoderTextClassifier>(std::move(parts.model), std::move(parts.ngrams),
                                                 std::move(parts.tokenizer), precision);
}

ClassifierParts load_classifier_parts(const std::filesystem::path& directory) {
  const ClassifierConfig config = ClassifierConfig::load(directory / kConfigFile);
  const EncoderConfig& encoder = config.encoder;
  Tokenizer tokenizer = Tokenizer::load(directory, static_cast<int32_t>(encoder.max_tokens()));
  if (tokenizer.vocab_size() > encoder.vocab_size) {
    throw DataError(fmt::format("{}: the tokenizer has {} entries; the model has room for {}", directory.string(),
                                tokenizer.vocab_size(), encoder.vocab_size));
  }
  auto model = load_sequence_classifier(directory);
  std::unique_ptr<NgramHead> ngrams;
  if (config.ngram_head) {
    ngrams = std::make_unique<NgramHead>(
        NgramHead::load(directory / kNgramsFile, tokenizer.options(), static_cast<int64_t>(config.labels.size())));
  }
  return {.model = std::move(model), .ngrams = std::move(ngrams), .tokenizer = std::move(tokenizer)};
}

void save_text_classifier(const std::filesystem::path& directory, EncoderForSequenceClassification& model,
                          const Tokenizer& tokenizer, NgramHead* ngrams) {
  ClassifierConfig config = model.config();
  if (ngrams && config.encoder.family != EncoderFamily::bert) {
    throw ValueError(
        fmt::format("save_text_classifier: n-grams beside an encoder of the model_type \"{}\"; only BERT's "
                    "has them",
                    names_of(config.encoder.family).model_type));
  }
  config.ngram_head = ngrams != nullptr;
  StagedDirectory staged(directory);
  config.save(staged.path() / kConfigFile);
  tokenizer.save(staged.path());
  SafetensorsFile weights;
  for (auto& [name, tensor] : model.state_dict()) {
    weights.tensors.emplace(stored_parameter_name(config.encoder, name), tensor);
  }
  save_safetensors(staged.path() / kWeightsFile, weights);
  if (ngrams) ngrams->save(staged.path() / kNgramsFile);
  staged.commit();
}

}  // namespace qing::nn
