#include <qing/nn/models/encoder_config.h>

#include <fmt/format.h>

#include <cmath>

#include <qing/nn/models/encoder_config_json.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

// Far above any model that fits a machine: keeps products of sizes inside int64.
constexpr int64_t kMaxSize = int64_t{1} << 24;

}  // namespace

void EncoderConfig::validate() const {
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
}

EncoderConfig read_encoder_config(const ConfigReader& reader) {
  reader.only("hidden_act", "gelu");
  reader.only("position_embedding_type", "absolute");
  reader.refuse_if_true({"is_decoder", "add_cross_attention"});
  EncoderConfig config;
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
  return config;
}

void write_encoder_config(const EncoderConfig& config, boost::json::object& into) {
  into["vocab_size"] = config.vocab_size;
  into["hidden_size"] = config.hidden_size;
  into["num_hidden_layers"] = config.num_hidden_layers;
  into["num_attention_heads"] = config.num_attention_heads;
  into["intermediate_size"] = config.intermediate_size;
  into["hidden_act"] = "gelu";
  into["hidden_dropout_prob"] = config.hidden_dropout_prob;
  into["attention_probs_dropout_prob"] = config.attention_probs_dropout_prob;
  into["max_position_embeddings"] = config.max_position_embeddings;
  into["type_vocab_size"] = config.type_vocab_size;
  into["layer_norm_eps"] = config.layer_norm_eps;
  into["initializer_range"] = config.initializer_range;
  into["pad_token_id"] = config.pad_token_id;
}

}  // namespace qing::nn
