#include <qing/nn/models/bert_config.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <string_view>

#include <qing/nn/models/label_names.h>
#include <qing/nn/unique_keys.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace json = boost::json;

// An upper bound of sizes, far above real models, that keeps products of sizes inside int64.
constexpr int64_t kMaxSize = int64_t{1} << 24;

// `transformers` builds its own classifier for the type "bert" and leaves the n-grams out without an error. It refuses
// a type that it does not know.
constexpr std::string_view kBertType = "bert", kNgramType = "qing_bert_ngrams";
constexpr std::string_view kBertArchitecture = "BertForSequenceClassification";
constexpr std::string_view kNgramArchitecture = "QingBertNgramsForSequenceClassification";

// Reads a config.json. Errors name the file and the field.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path) {
    json::value value;
    const std::string text = read_file(path);
    try {
      value = parse_file_json(text);
    } catch (const DataError& error) { fail(error.what()); }
    if (!value.is_object()) fail("not a JSON object");
    object_ = value.get_object();
  }

  [[noreturn]] void fail(const std::string& what) const { throw DataError(path_.string() + ": " + what); }

  const json::value* find(std::string_view field) const {
    const json::value* value = object_.if_contains(field);
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  void require(std::string_view field, int64_t& into) const {
    const json::value* value = find(field);
    if (value == nullptr) fail(fmt::format("{} is missing", field));
    if (!value->is_int64()) fail(fmt::format("{}: {} is not an integer", field, json::serialize(*value)));
    into = value->get_int64();
  }
  void optional(std::string_view field, int64_t& into) const {
    if (find(field) != nullptr) require(field, into);
  }
  void optional(std::string_view field, double& into) const {
    const json::value* value = find(field);
    if (value == nullptr) return;
    if (!value->is_number()) fail(fmt::format("{}: {} is not a number", field, json::serialize(*value)));
    into = value->to_number<double>();
  }
  void optional(std::string_view field, bool& into) const {
    const json::value* value = find(field);
    if (value == nullptr) return;
    if (!value->is_bool()) fail(fmt::format("{}: {} is not true or false", field, json::serialize(*value)));
    into = value->get_bool();
  }
  // Reads the counts of a DataProfile. validate() checks their values.
  std::optional<DataProfile> profile(std::string_view field) const {
    const json::value* value = find(field);
    if (value == nullptr) return std::nullopt;
    const auto count = [&](const json::value* number) {
      if (number == nullptr || !number->is_int64()) {
        fail(fmt::format("{}: needs integers tokens and unknown_tokens and an array of integers, labels", field));
      }
      return number->get_int64();
    };
    const json::object* object = value->if_object();
    const json::value* labels = object == nullptr ? nullptr : object->if_contains("labels");
    if (labels == nullptr || !labels->is_array()) count(nullptr);
    DataProfile profile{.tokens = count(object->if_contains("tokens")),
                        .unknown_tokens = count(object->if_contains("unknown_tokens")),
                        .labels = {}};
    for (const json::value& label : labels->get_array()) profile.labels.push_back(count(&label));
    return profile;
  }
  // Returns whether the model has an n-gram head. Older files of qing have the type "bert" and ngram_head.
  bool ngram_head() const {
    const json::value* type = find("model_type");
    if (type == nullptr) fail("model_type is missing; is this a model's config.json?");
    const bool own = *type == json::value(kNgramType);
    if (!own && *type != json::value(kBertType)) {
      fail(fmt::format("model_type: {} is not supported; only \"{}\" and \"{}\" are", json::serialize(*type), kBertType,
                       kNgramType));
    }
    bool head = own;
    optional("ngram_head", head);
    if (own && !head) fail(fmt::format("ngram_head: is false, but a model of the type \"{}\" has one", kNgramType));
    return head;
  }
  // Refuses any value but the one that qing supports.
  void only(std::string_view field, std::string_view supported) const {
    const json::value* value = find(field);
    if (value != nullptr && !(value->is_string() && value->get_string() == supported)) {
      fail(fmt::format("{}: {} is not supported; only \"{}\" is", field, json::serialize(*value), supported));
    }
  }

  // Without names the labels are numbered, as in transformers: num_labels of them, or two.
  std::vector<std::string> labels() const {
    const json::value* value = find("id2label");
    if (value == nullptr) return numbered_labels();
    if (!value->is_object() || value->get_object().empty()) fail("id2label: needs an object of labels");
    const json::object& map = value->get_object();
    std::vector<std::string> result;
    for (size_t i = 0; i < map.size(); ++i) {
      const json::value* label = map.if_contains(std::to_string(i));
      if (label == nullptr || !label->is_string()) {
        fail(fmt::format("id2label: no label for \"{}\"; its {} ids must be \"0\" to \"{}\", each with a name", i,
                         map.size(), map.size() - 1));
      }
      result.emplace_back(label->get_string());
    }
    return result;
  }

  // label2id is the inverse of id2label and may omit labels. transformers writes LABEL_0, LABEL_1, ... if it was not
  // set.
  void check_label2id() const {
    const json::value* value = find("label2id");
    const json::value* id2label = find("id2label");
    if (value == nullptr || id2label == nullptr) return;
    if (!value->is_object()) fail("label2id: needs an object of ids");
    const json::object& map = value->get_object();
    const auto id_of = [](const json::value& id) {
      return id.is_string() ? std::string(id.get_string()) : json::serialize(id);
    };
    const auto is_default = [&](const auto& entry) {
      return std::string_view(entry.key()) == "LABEL_" + id_of(entry.value());
    };
    if (std::ranges::all_of(map, is_default)) return;
    for (const auto& entry : map) {
      const std::string name(entry.key());
      const std::string id = id_of(entry.value());
      const json::value* other = id2label->get_object().if_contains(id);
      if (other != nullptr && other->get_string() == name) continue;
      fail(fmt::format("label2id: '{}' is {}, {}; make the two agree", name, id,
                       other == nullptr
                           ? "and id2label has no " + id
                           : fmt::format("but id2label calls {} '{}'", id, std::string(other->get_string()))));
    }
  }

 private:
  std::vector<std::string> numbered_labels() const {
    constexpr int64_t kMost = 1 << 16;  // bounds the memory that a small file can request
    int64_t count = 2;
    optional("num_labels", count);
    if (count < 2 || count > kMost) fail(fmt::format("num_labels: {} is outside [2, {}]", count, kMost));
    std::vector<std::string> result;
    for (int64_t i = 0; i < count; ++i) result.push_back(fmt::format("LABEL_{}", i));
    return result;
  }

  std::filesystem::path path_;
  json::object object_;
};

void check_reference(const DataProfile& reference, size_t labels) {
  constexpr int64_t kMostCount = int64_t{1} << 40;  // sums stay inside int64
  const auto possible = [](int64_t count) { return count >= 0 && count <= kMostCount; };
  if (reference.labels.size() != labels || !std::ranges::all_of(reference.labels, possible) ||
      !possible(reference.tokens) || !possible(reference.unknown_tokens) ||
      reference.unknown_tokens > reference.tokens) {
    throw ValueError(
        fmt::format("reference: needs a count from 0 to {} for each of the {} labels, and not more unknown "
                    "tokens than tokens",
                    kMostCount, labels));
  }
}

}  // namespace

void BertConfig::validate() const {
  const auto positive = [](const char* field, int64_t value) {
    if (value < 1 || value > kMaxSize)
      throw ValueError(fmt::format("{}: {} is outside [1, {}]", field, value, kMaxSize));
  };
  positive("vocab_size", vocab_size);
  positive("hidden_size", hidden_size);
  positive("num_hidden_layers", num_hidden_layers);
  positive("num_attention_heads", num_attention_heads);
  positive("intermediate_size", intermediate_size);
  positive("max_position_embeddings", max_position_embeddings);
  positive("type_vocab_size", type_vocab_size);
  positive("labels", static_cast<int64_t>(labels.size()));
  if (labels.size() < 2) throw ValueError("labels: there must be at least 2");
  check_label_names(labels);
  if (hidden_size % num_attention_heads != 0) {
    throw ValueError(
        fmt::format("hidden_size: {} is not a multiple of num_attention_heads {}", hidden_size, num_attention_heads));
  }
  const auto probability = [](const char* field, double value) {
    if (!(value >= 0 && value < 1)) throw ValueError(fmt::format("{}: {} is outside [0, 1)", field, value));
  };
  probability("hidden_dropout_prob", hidden_dropout_prob);
  probability("attention_probs_dropout_prob", attention_probs_dropout_prob);
  if (!(layer_norm_eps > 0 && layer_norm_eps < 1)) {
    throw ValueError(fmt::format("layer_norm_eps: {} is outside (0, 1)", layer_norm_eps));
  }
  if (!(initializer_range >= 0 && std::isfinite(initializer_range))) {
    throw ValueError(fmt::format("initializer_range: {} is not finite and at least 0", initializer_range));
  }
  if (!(calibration_temperature > 0 && std::isfinite(calibration_temperature))) {
    throw ValueError(fmt::format("calibration_temperature: {} is not finite and above 0", calibration_temperature));
  }
  if (reference) check_reference(*reference, labels.size());
}

BertConfig BertConfig::load(const std::filesystem::path& path) {
  const Reader reader(path);
  const bool ngram_head = reader.ngram_head();
  reader.only("hidden_act", "gelu");
  reader.only("position_embedding_type", "absolute");
  reader.only("problem_type", "single_label_classification");
  BertConfig config;
  reader.require("vocab_size", config.vocab_size);
  reader.require("hidden_size", config.hidden_size);
  reader.require("num_hidden_layers", config.num_hidden_layers);
  reader.require("num_attention_heads", config.num_attention_heads);
  reader.require("intermediate_size", config.intermediate_size);
  reader.require("max_position_embeddings", config.max_position_embeddings);
  reader.optional("type_vocab_size", config.type_vocab_size);
  reader.optional("hidden_dropout_prob", config.hidden_dropout_prob);
  reader.optional("attention_probs_dropout_prob", config.attention_probs_dropout_prob);
  reader.optional("layer_norm_eps", config.layer_norm_eps);
  reader.optional("initializer_range", config.initializer_range);
  reader.optional("pad_token_id", config.pad_token_id);
  reader.optional("calibration_temperature", config.calibration_temperature);
  config.ngram_head = ngram_head;
  config.labels = reader.labels();
  config.reference = reader.profile("reference");
  try {
    config.validate();
  } catch (const ValueError& error) { reader.fail(error.what()); }
  reader.check_label2id();
  return config;
}

void BertConfig::save(const std::filesystem::path& path) const {
  json::object id2label, label2id;
  for (size_t i = 0; i < labels.size(); ++i) {
    id2label[std::to_string(i)] = labels[i];
    label2id[labels[i]] = i;
  }
  json::object config = {
      {"architectures", json::array{ngram_head ? kNgramArchitecture : kBertArchitecture}},
      {"model_type", ngram_head ? kNgramType : kBertType},
      {"vocab_size", vocab_size},
      {"hidden_size", hidden_size},
      {"num_hidden_layers", num_hidden_layers},
      {"num_attention_heads", num_attention_heads},
      {"intermediate_size", intermediate_size},
      {"hidden_act", "gelu"},
      {"hidden_dropout_prob", hidden_dropout_prob},
      {"attention_probs_dropout_prob", attention_probs_dropout_prob},
      {"max_position_embeddings", max_position_embeddings},
      {"type_vocab_size", type_vocab_size},
      {"layer_norm_eps", layer_norm_eps},
      {"initializer_range", initializer_range},
      {"pad_token_id", pad_token_id},
      {"problem_type", "single_label_classification"},
      {"id2label", id2label},
      {"label2id", label2id},
      {"torch_dtype", "float32"},
  };
  if (ngram_head) config["ngram_head"] = true;
  if (calibration_temperature != 1) config["calibration_temperature"] = calibration_temperature;
  if (reference) {
    config["reference"] = {{"tokens", reference->tokens},
                           {"unknown_tokens", reference->unknown_tokens},
                           {"labels", json::array(reference->labels.begin(), reference->labels.end())}};
  }
  write_file_atomically(path, json::serialize(config) + "\n");
}

}  // namespace qing::nn
