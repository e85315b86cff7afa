#include <qing/nn/models/encoder_config_json.h>

#include <fmt/format.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

namespace json = boost::json;
using enum EncoderFamily;

// DistilBERT's norms have no setting.
constexpr double kDistilbertEps = 1e-12;

// What transformers accepts as hidden_act and qing computes; the first name of each is written.
constexpr std::array<std::pair<std::string_view, FeedForwardActivation>, 8> kActivations = {{
    {"gelu", FeedForwardActivation::gelu},
    {"gelu_new", FeedForwardActivation::gelu_tanh},
    {"relu", FeedForwardActivation::relu},
    {"silu", FeedForwardActivation::silu},
    {"swish", FeedForwardActivation::silu},
    {"gelu_python", FeedForwardActivation::gelu},
    {"gelu_fast", FeedForwardActivation::gelu_tanh},
    {"gelu_pytorch_tanh", FeedForwardActivation::gelu_tanh},
}};

// The names of fields that differ between families.
struct Keys {
  std::string_view hidden_size = "hidden_size", layers = "num_hidden_layers", heads = "num_attention_heads",
                   intermediate = "intermediate_size", activation = "hidden_act", dropout = "hidden_dropout_prob",
                   attention_dropout = "attention_probs_dropout_prob", classifier_dropout = "classifier_dropout";
};

Keys keys_of(EncoderFamily family) {
  if (family == distilbert) {
    return {.hidden_size = "dim",
            .layers = "n_layers",
            .heads = "n_heads",
            .intermediate = "hidden_dim",
            .activation = "activation",
            .dropout = "dropout",
            .attention_dropout = "attention_dropout",
            .classifier_dropout = "seq_classif_dropout"};
  }
  if (family == albert) return {.classifier_dropout = "classifier_dropout_prob"};
  return {};
}

// What transformers takes for a field that the file leaves out.
EncoderConfig defaults_of(EncoderFamily family) {
  EncoderConfig config{.family = family};
  switch (family) {
    case bert:
    case electra: break;
    case distilbert: config.classifier_dropout = 0.2; break;
    case roberta:
    case xlm_roberta:
    case mpnet: config.pad_token_id = 1; break;
    case albert:
      config.hidden_act = FeedForwardActivation::gelu_tanh;
      config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0;
      config.classifier_dropout = 0.1;
      break;
  }
  return config;
}

// Settings of other structures, which transformers computes (or computed in versions before).
void refuse_other_structures(const ConfigReader& reader) {
  reader.only("position_embedding_type", "absolute");
  reader.refuse_if_true({"is_decoder", "add_cross_attention", "is_encoder_decoder"});
  if (reader.find("quantization_config") != nullptr) {
    reader.fail("quantization_config: quantised weights are not supported; save the model without quantisation");
  }
  const json::value* pruned = reader.find("pruned_heads");
  if (pruned != nullptr && !(pruned->is_object() && pruned->get_object().empty())) {
    reader.fail("pruned_heads: layers with fewer heads are not supported");
  }
}

}  // namespace

FeedForwardActivation read_activation(const ConfigReader& reader, std::string_view field,
                                      FeedForwardActivation absent) {
  if (reader.find(field) == nullptr) return absent;
  const std::string name = reader.text(field, "");
  std::string known;
  for (const auto& [each, activation] : kActivations) {
    if (each == name) return activation;
    known += (known.empty() ? "" : ", ") + std::string(each);
  }
  reader.fail(fmt::format("{}: \"{}\" is not supported; only {} are", field, name, known));
}

EncoderFamily read_family(const ConfigReader& reader) {
  if (reader.find("model_type") == nullptr) reader.fail("model_type is missing; is this a model's config.json?");
  const std::string type = reader.text("model_type", "");
  if (type == kNgramType) return bert;
  std::string known;
  for (const EncoderFamilyNames& names : family_names()) {
    if (names.model_type == type) return names.family;
    known += (known.empty() ? "" : ", ") + std::string(names.model_type);
  }
  reader.fail(fmt::format("model_type: \"{}\" is not supported; only {} are", type, known));
}

EncoderConfig read_encoder_config(const ConfigReader& reader, EncoderFamily family) {
  refuse_other_structures(reader);
  EncoderConfig config = defaults_of(family);
  const Keys keys = keys_of(family);
  reader.require("vocab_size", config.vocab_size);
  reader.require(keys.hidden_size, config.hidden_size);
  if (config.has_embedding_size()) reader.require("embedding_size", config.embedding_size);
  reader.require(keys.layers, config.num_hidden_layers);
  reader.require(keys.heads, config.num_attention_heads);
  reader.require(keys.intermediate, config.intermediate_size);
  reader.require("max_position_embeddings", config.max_position_embeddings);
  if (config.has_token_types()) reader.optional("type_vocab_size", config.type_vocab_size);
  if (family == albert) {
    reader.optional("num_hidden_groups", config.num_hidden_groups);
    reader.optional("inner_group_num", config.inner_group_num);
  }
  if (family == mpnet) reader.optional("relative_attention_num_buckets", config.relative_attention_num_buckets);
  config.hidden_act = read_activation(reader, keys.activation, config.hidden_act);
  reader.optional(keys.dropout, config.hidden_dropout_prob);
  reader.optional(keys.attention_dropout, config.attention_probs_dropout_prob);
  if (reader.find(keys.classifier_dropout) != nullptr) {
    reader.optional(keys.classifier_dropout, config.classifier_dropout.emplace(0));
  }
  if (family == distilbert) {
    config.layer_norm_eps = kDistilbertEps;
  } else {
    reader.optional("layer_norm_eps", config.layer_norm_eps);
  }
  reader.optional("initializer_range", config.initializer_range);
  reader.optional("pad_token_id", config.pad_token_id);
  reader.optional("tie_word_embeddings", config.tie_word_embeddings);
  return config;
}

EncoderConfig EncoderConfig::load(const std::filesystem::path& path) {
  const ConfigReader reader(path);
  EncoderConfig config = read_encoder_config(reader, read_family(reader));
  try {
    config.validate();
  } catch (const ValueError& error) { reader.fail(error.what()); }
  return config;
}

void write_encoder_config(const EncoderConfig& config, json::object& into) {
  const Keys keys = keys_of(config.family);
  into["vocab_size"] = config.vocab_size;
  into[keys.hidden_size] = config.hidden_size;
  if (config.has_embedding_size()) into["embedding_size"] = config.embedding_width();
  into[keys.layers] = config.num_hidden_layers;
  if (config.family == albert) {
    into["num_hidden_groups"] = config.num_hidden_groups;
    into["inner_group_num"] = config.inner_group_num;
  }
  into[keys.heads] = config.num_attention_heads;
  into[keys.intermediate] = config.intermediate_size;
  for (const auto& [name, activation] : kActivations) {
    if (activation != config.hidden_act) continue;
    into[keys.activation] = name;
    break;
  }
  into[keys.dropout] = config.hidden_dropout_prob;
  into[keys.attention_dropout] = config.attention_probs_dropout_prob;
  if (config.classifier_dropout) into[keys.classifier_dropout] = *config.classifier_dropout;
  into["max_position_embeddings"] = config.max_position_embeddings;
  if (config.has_token_types()) into["type_vocab_size"] = config.type_vocab_size;
  if (config.family == mpnet) into["relative_attention_num_buckets"] = config.relative_attention_num_buckets;
  if (config.family != distilbert) into["layer_norm_eps"] = config.layer_norm_eps;
  into["initializer_range"] = config.initializer_range;
  into["pad_token_id"] = config.pad_token_id;
  if (!config.tie_word_embeddings) into["tie_word_embeddings"] = false;
}

}  // namespace qing::nn
