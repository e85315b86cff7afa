#include <qing/nn/models/sentence_embedding.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/nn/models/bert.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/nn/unique_keys.h>
#include <qing/tensor/allocator.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr const char* kModulesFile = "modules.json";

[[noreturn]] void fail(const fs::path& file, const std::string& what) {
  throw DataError(fmt::format("{}: {}", file.string(), what));
}

json::value read_json(const fs::path& file) {
  const std::string text = read_file(file);
  try {
    return parse_file_json(text);
  } catch (const DataError& error) { fail(file, error.what()); }
}

const json::value* member(const json::value& value, std::string_view name) {
  const json::object* object = value.if_object();
  const json::value* found = object == nullptr ? nullptr : object->if_contains(name);
  return found == nullptr || found->is_null() ? nullptr : found;
}

std::string text_of(const json::value* value) {
  return value == nullptr || !value->is_string() ? std::string() : std::string(value->get_string());
}

struct Modules {
  fs::path pooling;  // the folder of its configuration
  bool normalize = false;
};

// A list of {"idx", "name", "path", "type"}. The type is a Python class, whose module has moved between versions.
Modules read_modules(const fs::path& directory) {
  const fs::path file = directory / kModulesFile;
  const json::value value = read_json(file);
  if (!value.is_array()) fail(file, "not a list of modules");
  std::vector<std::string> kinds;
  Modules modules;
  for (const json::value& module : value.get_array()) {
    const std::string type = text_of(member(module, "type"));
    const std::string path = text_of(member(module, "path"));
    kinds.push_back(type.substr(type.rfind('.') + 1));
    if (kinds.back() == "Transformer" && !path.empty()) {
      fail(file, fmt::format("the Transformer lies in '{}'; only one beside modules.json is supported", path));
    }
    if (kinds.back() == "Pooling") modules.pooling = directory / path;
  }
  modules.normalize = kinds.size() == 3 && kinds[2] == "Normalize";
  if (kinds.size() < 2 || kinds.size() > 3 || kinds[0] != "Transformer" || kinds[1] != "Pooling" ||
      (kinds.size() == 3 && !modules.normalize)) {
    fail(file, fmt::format("the modules {} are not supported; only Transformer, Pooling and then perhaps Normalize are",
                           fmt::join(kinds, ", ")));
  }
  return modules;
}

// Older files have a flag for each mode, newer ones the name of the mode.
SentencePooling read_pooling(const fs::path& folder) {
  const fs::path file = folder / "config.json";
  const json::value value = read_json(file);
  std::vector<std::string> modes;
  if (const json::value* mode = member(value, "pooling_mode")) modes.push_back(text_of(mode));
  if (value.is_object()) {
    for (const auto& entry : value.get_object()) {
      const std::string_view name(entry.key());
      constexpr std::string_view kPrefix = "pooling_mode_";
      if (name.starts_with(kPrefix) && entry.value().is_bool() && entry.value().get_bool()) {
        modes.emplace_back(name.substr(kPrefix.size()));
      }
    }
  }
  if (modes == std::vector<std::string>{"cls_token"} || modes == std::vector<std::string>{"cls"}) {
    return SentencePooling::kCls;
  }
  if (modes == std::vector<std::string>{"mean_tokens"} || modes == std::vector<std::string>{"mean"}) {
    return SentencePooling::kMean;
  }
  fail(file, fmt::format("the pooling '{}' is not supported; only cls and mean are", fmt::join(modes, ", ")));
}

std::optional<std::int64_t> read_max_length(const fs::path& directory) {
  const fs::path file = directory / "sentence_bert_config.json";
  if (!fs::exists(file)) return std::nullopt;
  const json::value config = read_json(file);
  const json::value* length = member(config, "max_seq_length");
  if (length == nullptr) return std::nullopt;
  if (!length->is_int64() || length->get_int64() < 2) fail(file, "max_seq_length: must be a whole number from 2");
  return length->get_int64();
}

// The names are those of a BertModel. Its pooler and a classifier, which nobody asks for here, may be missing.
StateDict read_weights(const fs::path& file, const BertConfig& config) {
  SafetensorsFile weights = load_safetensors(file);
  // A configuration may ask for any amount of memory: it gets what the weights beside it justify.
  const auto require = [&](const std::string& name, std::int64_t rows, std::int64_t columns) {
    const auto found = weights.tensors.find(name);
    if (found == weights.tensors.end()) fail(file, fmt::format("{} is missing", name));
    if (found->second.dim() != 2 || found->second.size(0) != rows || found->second.size(1) != columns) {
      fail(file, fmt::format("{}: is not of shape [{}, {}], as config.json has it", name, rows, columns));
    }
  };
  require("embeddings.word_embeddings.weight", config.vocab_size, config.hidden_size);
  require("embeddings.position_embeddings.weight", config.max_position_embeddings, config.hidden_size);
  require(fmt::format("encoder.layer.{}.output.dense.weight", config.num_hidden_layers - 1), config.hidden_size,
          config.intermediate_size);
  StateDict state;
  for (auto& [name, tensor] : weights.tensors) state["bert." + name] = std::move(tensor);
  const std::int64_t width = config.hidden_size, labels = static_cast<std::int64_t>(config.labels.size());
  state.try_emplace("bert.pooler.dense.weight", Tensor::zeros({width, width}));
  state.try_emplace("bert.pooler.dense.bias", Tensor::zeros({width}));
  state.try_emplace("classifier.weight", Tensor::zeros({labels, width}));
  state.try_emplace("classifier.bias", Tensor::zeros({labels}));
  return state;
}

class SentenceEmbedding final : public TextClassifier {
 public:
  SentenceEmbedding(std::unique_ptr<const BertForSequenceClassification> model, Tokenizer tokenizer,
                    std::int32_t max_length, SentencePooling pooling, bool normalizes, DType precision)
      : model_(std::move(model)),
        tokenizer_(std::move(tokenizer)),
        max_length_(max_length),
        pooling_(pooling),
        normalizes_(normalizes),
        precision_(precision) {}

  EncodedText encode(std::string_view text) const override {
    EncodedText encoding{tokenizer_.encode(text), {}};
    const auto most = static_cast<size_t>(max_length_);
    if (encoding.ids.size() > most) {
      encoding.ids.resize(most);
      encoding.offsets.resize(most);
      encoding.ids.back() = tokenizer_.sep_id();
      encoding.offsets.back() = {0, 0};
      encoding.truncated = true;
    }
    return encoding;
  }

  std::vector<Prediction> predict_encoded(std::span<const EncodedText> encodings) const override {
    std::vector<Prediction> predictions;
    if (encodings.empty()) return predictions;
    const NoGradGuard guard;
    std::vector<std::span<const int32_t>> sequences;
    for (const EncodedText& encoding : encodings) sequences.emplace_back(encoding.ids);
    const RaggedBatch batch = RaggedBatch::of(sequences);
    const Tensor vectors = pool_sentences(model_->hidden_states(batch).contiguous(), batch.offsets, pooling_);
    const int64_t width = vectors.size(1);
    for (size_t i = 0; i < encodings.size(); ++i) {
      const std::vector<int32_t>& ids = encodings[i].ids;
      const float* row = vectors.data<float>() + static_cast<int64_t>(i) * width;
      predictions.push_back({.label = 0,
                             .scores = {},
                             .tokens = static_cast<int32_t>(ids.size()),
                             .truncated = encodings[i].truncated,
                             .unknown = static_cast<int32_t>(std::ranges::count(ids, tokenizer_.unk_id())),
                             .blank = ids.size() == 2,
                             .embedding = std::vector<float>(row, row + width)});
    }
    return predictions;
  }

  EmbeddingInfo embedding() const override {
    return {model_->config().hidden_size, pooling_ == SentencePooling::kCls ? "cls" : "mean", normalizes_};
  }
  const Tokenizer* tokenizer() const override { return &tokenizer_; }
  int32_t max_length() const override { return max_length_; }
  const std::vector<std::string>& labels() const override {
    static const std::vector<std::string> kNone;
    return kNone;
  }
  DType precision() const override { return precision_; }

 private:
  std::unique_ptr<const BertForSequenceClassification> model_;
  Tokenizer tokenizer_;
  std::int32_t max_length_;
  SentencePooling pooling_;
  bool normalizes_;
  DType precision_;
};

}  // namespace

Tensor pool_sentences(const Tensor& hidden, const Offsets& offsets, SentencePooling pooling) {
  const int64_t width = hidden.size(1), sequences = static_cast<int64_t>(offsets.size()) - 1;
  Tensor pooled = Tensor::empty({sequences, width});
  std::vector<double> sums(static_cast<size_t>(width));
  for (int64_t i = 0; i < sequences; ++i) {
    const int64_t begin = offsets[static_cast<size_t>(i)];
    const int64_t end = pooling == SentencePooling::kCls ? begin + 1 : offsets[static_cast<size_t>(i) + 1];
    std::ranges::fill(sums, 0.0);
    for (int64_t token = begin; token < end; ++token) {
      const float* row = hidden.data<float>() + token * width;
      for (size_t j = 0; j < sums.size(); ++j) sums[j] += row[j];
    }
    float* out = pooled.data<float>() + i * width;
    for (size_t j = 0; j < sums.size(); ++j) out[j] = static_cast<float>(sums[j] / static_cast<double>(end - begin));
  }
  return pooled;
}

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
  return fs::exists(directory / kModulesFile, unreadable);
}

std::shared_ptr<const TextClassifier> load_sentence_embedding(const fs::path& directory, DType precision) {
  const LongLivedAllocations weights;
  const Modules modules = read_modules(directory);
  const SentencePooling pooling = read_pooling(modules.pooling);
  const fs::path config_file = directory / "config.json";
  const json::value description = read_json(config_file);
  const json::value* architectures = member(description, "architectures");
  if (architectures == nullptr || *architectures != json::value(json::array{"BertModel"})) {
    fail(config_file, R"(architectures: must be ["BertModel"] beside a modules.json)");
  }
  const BertConfig config = BertConfig::load(config_file);
  Tokenizer tokenizer = Tokenizer::load(directory, static_cast<int32_t>(config.max_position_embeddings));
  if (tokenizer.vocab_size() > config.vocab_size) {
    fail(config_file, fmt::format("vocab_size: {} is less than the {} entries of the tokenizer", config.vocab_size,
                                  tokenizer.vocab_size()));
  }
  const int64_t max_length = std::min({read_max_length(directory).value_or(config.max_position_embeddings),
                                       config.max_position_embeddings, int64_t{tokenizer.options().max_length}});
  const fs::path weights_file = directory / "model.safetensors";
  Generator unused;
  const StateDict state = read_weights(weights_file, config);
  auto model = std::make_unique<BertForSequenceClassification>(config, unused);
  try {
    // Older files of transformers hold the positions 0, 1, ... as a buffer.
    model->load_state_dict(state, true, {"bert.embeddings.position_ids"});
  } catch (const DataError& error) { fail(weights_file, error.what()); }
  pack_linear_layers(*model, precision);
  return std::make_shared<SentenceEmbedding>(std::move(model), std::move(tokenizer), static_cast<int32_t>(max_length),
                                             pooling, modules.normalize, precision);
}

std::shared_ptr<const TextClassifier> load_text_model(const fs::path& directory, DType precision) {
  return holds_sentence_embedding(directory) ? load_sentence_embedding(directory, precision)
                                             : TextClassifier::load(directory, precision);
}

}  // namespace qing::nn
