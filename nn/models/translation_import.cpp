#include <qing/nn/models/translation_import.h>

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/nn/formats/open_weights.h>
#include <qing/nn/init.h>
#include <qing/nn/models/config_reader.h>
#include <qing/nn/models/encoder_config_json.h>
#include <qing/nn/models/generation_config.h>
#include <qing/nn/models/pretrained.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGenerationFile = "generation_config.json";
constexpr std::string_view kTranslationTypes[] = {"marian", "m2m_100", "bart", "mbart", "t5"};
// T5 knows positions by distances, so that its texts have no limit of their own.
constexpr int64_t kMostTokensOfT5 = 4096;

int32_t required_token(const ConfigReader& reader, std::string_view field, std::optional<int32_t> absent) {
  const std::optional<int32_t> token = read_token_id(reader, field);
  if (token) return *token;
  if (!absent) reader.fail(fmt::format("{} is missing", field));
  return *absent;
}

void refuse_others(const ConfigReader& reader, std::string_view type) {
  reader.refuse_if_true({"is_decoder"});
  if (reader.find("quantization_config") != nullptr) {
    reader.fail("quantization_config: quantised weights are not supported; save the model without quantisation");
  }
  if (type != "marian") return;
  bool shared = true;
  reader.optional("share_encoder_decoder_embeddings", shared);
  if (!shared) reader.fail("share_encoder_decoder_embeddings: false is not supported; only true is");
  int64_t vocabulary = 0, target = 0;
  reader.require("vocab_size", vocabulary);
  target = vocabulary;
  reader.optional("decoder_vocab_size", target);
  if (target != vocabulary) {
    reader.fail(fmt::format("decoder_vocab_size: {} is not vocab_size {}; tables of two sizes are not supported",
                            target, vocabulary));
  }
}

// Marian's, M2M-100's and BART's.
TranslationConfig bart_like(const ConfigReader& reader, std::string_view type) {
  TranslationConfig c{.attention_dropout = type == "m2m_100" ? 0.1 : 0.0};
  reader.require("vocab_size", c.vocab_size);
  reader.require("d_model", c.width);
  reader.require("encoder_layers", c.encoder_layers);
  reader.require("decoder_layers", c.decoder_layers);
  reader.require("encoder_attention_heads", c.encoder_heads);
  reader.require("decoder_attention_heads", c.decoder_heads);
  reader.require("encoder_ffn_dim", c.encoder_hidden);
  reader.require("decoder_ffn_dim", c.decoder_hidden);
  reader.require("max_position_embeddings", c.max_tokens);
  const bool marian = type == "marian", m2m = type == "m2m_100", mbart = type == "mbart";
  c.positions =
      marian ? PositionKind::sinusoidal_split : (m2m ? PositionKind::sinusoidal_tensor2tensor : PositionKind::learned);
  c.pad_id = required_token(reader, "pad_token_id", marian ? 58100 : 1);
  c.position_offset = marian ? 0 : (m2m ? c.pad_id + 1 : 2);
  c.norm_first = c.final_norm = m2m || mbart;
  c.embedding_norm = !marian && !m2m;
  c.activation =
      read_activation(reader, "activation_function", m2m ? FeedForwardActivation::relu : FeedForwardActivation::gelu);
  c.scale_embeddings = m2m;
  reader.optional("scale_embedding", c.scale_embeddings);
  reader.optional("tie_word_embeddings", c.tie_output);
  c.output_bias = !m2m;
  reader.optional("dropout", c.dropout);
  reader.optional("attention_dropout", c.attention_dropout);
  reader.optional("activation_dropout", c.activation_dropout);
  c.eos_id = required_token(reader, "eos_token_id", marian ? 0 : 2);
  c.start_id = required_token(reader, "decoder_start_token_id", marian ? std::nullopt : std::optional(c.eos_id));
  double deviation = 0.02;
  reader.optional("init_std", deviation);
  c.initializer_range = deviation;
  return c;
}

TranslationConfig t5_like(const ConfigReader& reader) {
  TranslationConfig c{.max_tokens = kMostTokensOfT5,
                      .positions = PositionKind::relative,
                      .norm = NormKind::rms_norm,
                      .norm_eps = 1e-6,
                      .biases = false,
                      .scale_scores = false,
                      .scale_embeddings = false,
                      .initializer_range = 0.02};
  reader.require("vocab_size", c.vocab_size);
  reader.require("d_model", c.width);
  reader.require("num_layers", c.encoder_layers);
  c.decoder_layers = c.encoder_layers;
  reader.optional("num_decoder_layers", c.decoder_layers);
  reader.require("num_heads", c.encoder_heads);
  c.decoder_heads = c.encoder_heads;
  reader.require("d_ff", c.encoder_hidden);
  c.decoder_hidden = c.encoder_hidden;
  reader.require("d_kv", c.head_width);
  reader.optional("relative_attention_num_buckets", c.relative_buckets);
  reader.optional("relative_attention_max_distance", c.relative_max_distance);
  reader.optional("layer_norm_epsilon", c.norm_eps);
  reader.optional("dropout_rate", c.dropout);
  c.activation_dropout = c.attention_dropout = c.dropout;
  const std::string projection = reader.text("feed_forward_proj", "relu");
  c.gated = projection.starts_with("gated-");
  if (projection == "gated-gelu") {
    c.activation = FeedForwardActivation::gelu_tanh;  // as transformers reads it
  } else if (projection == "relu" || projection == "gated-relu") {
    c.activation = FeedForwardActivation::relu;
  } else if (projection == "gelu") {
    c.activation = FeedForwardActivation::gelu;
  } else if (projection == "silu" || projection == "gated-silu") {
    c.activation = FeedForwardActivation::silu;
  } else {
    reader.fail(
        fmt::format("feed_forward_proj: \"{}\" is not supported; only relu, gelu, silu, gated-relu, gated-gelu "
                    "and gated-silu are",
                    projection));
  }
  // transformers before 5 wrote tie_word_embeddings: false to say that outputs are not scaled.
  bool scaled = true;
  reader.optional("tie_word_embeddings", scaled);
  reader.optional("scale_decoder_outputs", scaled);
  c.scale_output = scaled;
  c.pad_id = required_token(reader, "pad_token_id", 0);
  c.eos_id = required_token(reader, "eos_token_id", 1);
  c.start_id = required_token(reader, "decoder_start_token_id", c.pad_id);
  return c;
}

// A configuration may ask for any amount of memory: it gets what the weights beside it justify.
void check_described(const TranslationConfig& c, const WeightsFile& weights, const ConfigReader& reader) {
  const auto number = [](int64_t value) { return static_cast<double>(value); };
  const double width = number(c.width), inner = number(c.encoder_heads * c.head_width_of(c.encoder_heads));
  const double layers = number(c.encoder_layers) * (4 * inner + 2 * number(c.encoder_hidden)) +
                        number(c.decoder_layers) * (8 * inner + 2 * number(c.decoder_hidden));
  const double tables = number(c.vocab_size + (c.positions == PositionKind::learned ? 2 * c.max_tokens : 0));
  double held = 0;
  for (const TensorInfo& tensor : weights.tensors()) held += number(numel_of(tensor.shape));
  constexpr double kSlack = 1 << 20;
  if (width * (tables + layers) <= 2 * held + kSlack) return;
  reader.fail(fmt::format("describes {:.0f} parameters, but {} holds {:.0f}; they are of different models",
                          width * (tables + layers), weights.path(), held));
}

StateDict renamed(const WeightsFile& file, bool tied, const TranslationConfig& c) {
  StateDict weights;
  for (const TensorInfo& tensor : file.tensors()) {
    const std::string ours = translation_parameter_name(tensor.name, tied);
    const bool fixed = ours.ends_with(".positions.weight") && c.positions != PositionKind::learned;
    if (ours.empty() || fixed) continue;
    Tensor values = file.tensor(tensor.name);
    if (ours == "output.bias" && values.dim() == 2) values = values.reshape({-1});
    weights.insert_or_assign(ours, std::move(values));
  }
  // Files of older versions may hold the shared table under the names of its users only.
  const char* const table = tied ? "output.weight" : "embeddings.weight";
  for (const char* const name : {"model.encoder.embed_tokens.weight", "encoder.embed_tokens.weight"}) {
    if (!weights.contains(table) && file.find(name) != nullptr) weights.emplace(table, file.tensor(name));
  }
  return weights;
}

}  // namespace

bool is_pretrained_translation(const fs::path& folder) {
  const ConfigReader reader(folder / kConfigFile);
  const std::string type = reader.text("model_type", "");
  for (const std::string_view known : kTranslationTypes) {
    if (type == known) return true;
  }
  return false;
}

PretrainedTranslation load_pretrained_translation(const fs::path& folder, std::optional<double> dropout) {
  const ConfigReader reader(folder / kConfigFile);
  const std::string type = reader.text("model_type", "");
  if (!is_pretrained_translation(folder)) {
    reader.fail(fmt::format("model_type: \"{}\" is not supported; only marian, m2m_100, bart, mbart and t5 are", type));
  }
  refuse_others(reader, type);
  TranslationConfig config = type == "t5" ? t5_like(reader) : bart_like(reader, type);
  if (dropout) config.dropout = *dropout;
  const WeightsFile file = open_weights(folder);
  // T5's output layer has weights of its own if the file has them.
  if (type == "t5") config.tie_output = file.find("lm_head.weight") == nullptr;
  try {
    config.validate();
  } catch (const ValueError& error) { reader.fail(error.what()); }
  check_described(config, file, reader);
  StateDict weights = renamed(file, config.tie_output, config);
  if (config.output_bias && !weights.contains("output.bias")) {
    weights.emplace("output.bias", Tensor::zeros({config.vocab_size}));
  }
  const init::SkippedInit skipped;
  Generator unused;
  PretrainedTranslation loaded{
      .model_type = type, .model = std::make_unique<TranslationModel>(config, unused), .options = {}};
  try {
    loaded.model->adopt_state_dict(weights);
  } catch (const DataError& error) { throw DataError(file.path() + ": " + error.what()); }
  loaded.model->eval();
  const fs::path generation = folder / kGenerationFile;
  loaded.options =
      fs::exists(generation) ? read_generation_options(ConfigReader(generation)) : read_generation_options(reader);
  return loaded;
}

}  // namespace qing::nn
