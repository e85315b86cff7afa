#include <qing/nn/models/sentence_embedding.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/models/config_reader.h>
#include <qing/nn/models/encoder_heads.h>
#include <qing/nn/models/pretrained.h>
#include <qing/nn/models/sentence_modules.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/tensor/allocator.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace fs = std::filesystem;

// sentence_bert_config.json, if there.
struct TransformerSettings {
  std::optional<std::int32_t> max_length;
  bool lowercase = false;
};
TransformerSettings read_transformer_settings(const fs::path& directory) {
  TransformerSettings settings;
  const fs::path file = directory / "sentence_bert_config.json";
  if (!is_there(file)) return settings;
  const ConfigReader reader(file);
  // Arguments of every call of the tokenizer, such as a length.
  const boost::json::value* arguments = reader.find("processing_kwargs");
  if (arguments != nullptr && !(arguments->is_object() && arguments->get_object().empty())) {
    reader.fail(
        fmt::format("processing_kwargs: {} is not supported; put a length into max_seq_length, and leave it out",
                    boost::json::serialize(*arguments)));
  }
  if (const std::string task = reader.text("transformer_task", "feature-extraction"); task != "feature-extraction") {
    reader.fail(fmt::format("transformer_task: {} is not supported; only feature-extraction is", task));
  }
  reader.optional("do_lower_case", settings.lowercase);
  const boost::json::value* length = reader.find("max_seq_length");
  if (length == nullptr) return settings;
  if (!length->is_int64() || length->get_int64() < 2 || length->get_int64() > 1 << 20) {
    reader.fail("max_seq_length: must be a whole number from 2 to 1048576");
  }
  settings.max_length = static_cast<std::int32_t>(length->get_int64());
  return settings;
}

class SentenceEmbedding final : public TextClassifier {
 public:
  SentenceEmbedding(std::unique_ptr<SentenceEncoder> model, Tokenizer tokenizer, SentenceModules modules,
                    DType precision)
      : weight_bytes_(bytes_with_copies(*model)),
        model_(std::move(model)),
        tokenizer_(std::move(tokenizer)),
        modules_(std::move(modules)),
        precision_(precision) {}

  EncodedText encode(std::string_view text) const override {
    if (modules_.prompt.empty()) return encode_text(tokenizer_, text);
    EncodedText encoded = encode_text(tokenizer_, modules_.prompt + std::string(text));
    // Offsets count from the text's first byte; tokens of the prompt have none in the text.
    const auto in_text = [prompt = static_cast<uint32_t>(modules_.prompt.size())](uint32_t at) {
      return at < prompt ? 0 : at - prompt;
    };
    for (auto& [begin, end] : encoded.offsets) begin = in_text(begin), end = in_text(end);
    return encoded;
  }

  std::vector<Prediction> predict_encoded(std::span<const EncodedText> encodings) const override {
    std::vector<Prediction> predictions;
    if (encodings.empty()) return predictions;
    const NoGradGuard guard;
    std::vector<std::span<const int32_t>> sequences;
    for (const EncodedText& encoding : encodings) sequences.emplace_back(encoding.ids);
    const RaggedBatch batch = RaggedBatch::of(sequences);
    const Tensor vectors = model_->forward(batch).contiguous();
    const int64_t width = vectors.size(1);
    for (size_t i = 0; i < encodings.size(); ++i) {
      const std::vector<int32_t>& ids = encodings[i].ids;
      const float* row = vectors.data<float>() + static_cast<int64_t>(i) * width;
      predictions.push_back({.label = 0,
                             .scores = {},
                             .tokens = static_cast<int32_t>(ids.size()),
                             .truncated = encodings[i].truncated,
                             .unknown = static_cast<int32_t>(std::ranges::count(ids, tokenizer_.unk_id())),
                             .blank = std::ssize(ids) == tokenizer_.special_tokens(),
                             .embedding = std::vector<float>(row, row + width)});
    }
    return predictions;
  }

  EmbeddingInfo embedding() const override {
    return {model_->config().hidden_size, model_->options().pooling == SentencePooling::cls ? "cls" : "mean",
            modules_.options.normalize};
  }
  const Tokenizer* tokenizer() const override { return &tokenizer_; }
  int32_t max_length() const override { return tokenizer_.options().max_length; }
  const std::vector<std::string>& labels() const override {
    static const std::vector<std::string> kNone;
    return kNone;
  }
  DType precision() const override { return precision_; }
  size_t weight_bytes() const override { return weight_bytes_; }

 private:
  const size_t weight_bytes_;
  std::unique_ptr<const SentenceEncoder> model_;
  Tokenizer tokenizer_;
  SentenceModules modules_;
  DType precision_;
};

}  // namespace

void normalize_embedding(std::span<float> vector) {
  double squares = 0;
  for (const float x : vector) squares += double{x} * x;
  const double length = std::max(std::sqrt(squares), 1e-12);
  for (float& x : vector) x = static_cast<float>(x / length);
}

double cosine_similarity(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) {
    throw ShapeError(
        fmt::format("cosine_similarity: vectors of {} and {} numbers; both must have one size", a.size(), b.size()));
  }
  double product = 0, of_a = 0, of_b = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    product += double{a[i]} * b[i];
    of_a += double{a[i]} * a[i];
    of_b += double{b[i]} * b[i];
  }
  return of_a == 0 || of_b == 0 ? 0 : product / std::sqrt(of_a * of_b);
}

bool holds_sentence_embedding(const fs::path& directory) {
  std::error_code unreadable;  // reading the model tells why
  if (fs::exists(directory / "modules.json", unreadable)) return true;
  if (!fs::exists(directory / kConfigFile, unreadable)) return false;
  try {
    const ConfigReader reader(directory / kConfigFile);
    const boost::json::value* names = reader.find("architectures");
    const boost::json::array* list = names == nullptr ? nullptr : names->if_array();
    if (list == nullptr || list->size() != 1 || !list->front().is_string()) return false;
    const std::string_view name = list->front().get_string();
    return name.ends_with("Model") && !name.ends_with("LMHeadModel");
  } catch (const Error&) {
    return false;  // loading it tells why
  }
}

SentenceParts load_sentence_parts(const fs::path& directory) {
  SentenceModules modules = read_sentence_modules(directory);
  const fs::path config_file = modules.encoder / kConfigFile;
  const EncoderConfig config = EncoderConfig::load(config_file);
  const auto most = static_cast<std::int32_t>(config.max_tokens());
  const TransformerSettings settings = read_transformer_settings(modules.encoder);
  Tokenizer tokenizer =
      Tokenizer::load(modules.encoder, std::min(settings.max_length.value_or(most), most), settings.lowercase);
  if (tokenizer.vocab_size() > config.vocab_size) {
    throw DataError(fmt::format("{}: vocab_size: {} is less than the {} entries of the tokenizer", config_file.string(),
                                config.vocab_size, tokenizer.vocab_size()));
  }
  // Callers normalize, since one request may ask for embeddings as they are.
  auto model = load_sentence_encoder(modules.encoder, config, {.pooling = modules.options.pooling});
  return {
      .modules = std::move(modules), .config = config, .model = std::move(model), .tokenizer = std::move(tokenizer)};
}

std::shared_ptr<const TextClassifier> load_sentence_embedding(const fs::path& directory, DType precision) {
  const LongLivedAllocations weights;
  SentenceParts parts = load_sentence_parts(directory);
  pack_for_inference(*parts.model, precision);
  return std::make_shared<SentenceEmbedding>(std::move(parts.model), std::move(parts.tokenizer),
                                             std::move(parts.modules), precision);
}

std::shared_ptr<const TextClassifier> load_text_model(const fs::path& directory, DType precision) {
  return holds_sentence_embedding(directory) ? load_sentence_embedding(directory, precision)
                                             : TextClassifier::load(directory, precision);
}

}  // namespace qing::nn
