#include <qing/nn/models/translation_folder.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <string>
#include <utility>

#include <qing/nn/formats/open_weights.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/init.h>
#include <qing/nn/models/config_reader.h>
#include <qing/nn/models/pretrained.h>
#include <qing/nn/models/task_config.h>
#include <qing/nn/staged_directory.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTranslationType = "qing_translation";
constexpr const char* kTranslationWeights = "model.safetensors";

// The fields of config.json beside the rates and the ids, by their members.
constexpr std::pair<const char*, int64_t TranslationConfig::*> kSizes[] = {
    {"vocab_size", &TranslationConfig::vocab_size},         {"width", &TranslationConfig::width},
    {"encoder_layers", &TranslationConfig::encoder_layers}, {"decoder_layers", &TranslationConfig::decoder_layers},
    {"encoder_heads", &TranslationConfig::encoder_heads},   {"decoder_heads", &TranslationConfig::decoder_heads},
    {"encoder_hidden", &TranslationConfig::encoder_hidden}, {"decoder_hidden", &TranslationConfig::decoder_hidden},
    {"max_tokens", &TranslationConfig::max_tokens},
};
constexpr std::pair<const char*, double TranslationConfig::*> kRates[] = {
    {"dropout", &TranslationConfig::dropout},
    {"attention_dropout", &TranslationConfig::attention_dropout},
    {"activation_dropout", &TranslationConfig::activation_dropout},
};
constexpr std::pair<const char*, int32_t TranslationConfig::*> kIds[] = {
    {"pad_token_id", &TranslationConfig::pad_id},
    {"eos_token_id", &TranslationConfig::eos_id},
    {"decoder_start_token_id", &TranslationConfig::start_id},
};

void check_own_form(const TranslationConfig& config) {
  const TranslationConfig own;
  const bool same = config.positions == own.positions && config.position_offset == own.position_offset &&
                    config.rotary_base == own.rotary_base && config.head_width == own.head_width &&
                    config.norm_first == own.norm_first && config.final_norm == own.final_norm &&
                    config.embedding_norm == own.embedding_norm && config.norm == own.norm &&
                    config.norm_eps == own.norm_eps && config.activation == own.activation &&
                    config.gated == own.gated && config.biases == own.biases &&
                    config.scale_scores == own.scale_scores && config.scale_embeddings == own.scale_embeddings &&
                    config.tie_output == own.tie_output && config.scale_output == own.scale_output &&
                    config.output_bias == own.output_bias;
  if (same) return;
  throw ValueError("save_translation_model: the configuration is not of qing's own form; save it in its program's");
}

TranslationConfig config_in(const ConfigReader& reader) {
  TranslationConfig config;
  for (const auto& [field, member] : kSizes) reader.require(field, config.*member);
  for (const auto& [field, member] : kRates) reader.optional(field, config.*member);
  for (const auto& [field, member] : kIds) {
    int64_t id = config.*member;
    reader.optional(field, id);
    if (id < 0 || id >= config.vocab_size) {
      reader.fail(fmt::format("{}: is {}; it must be in [0, {})", field, id, config.vocab_size));
    }
    config.*member = static_cast<int32_t>(id);
  }
  try {
    config.validate();
  } catch (const ValueError& error) { reader.fail(error.what()); }
  return config;
}

std::vector<TranslationDirection> directions_in(const ConfigReader& reader) {
  const boost::json::value* value = reader.find("directions");
  const boost::json::array* names = value == nullptr ? nullptr : value->if_array();
  if (names == nullptr || names->empty()) reader.fail("directions: must be a list such as [\"en-zh\"]");
  std::vector<TranslationDirection> directions;
  for (const boost::json::value& name : *names) {
    if (!name.is_string()) reader.fail("directions: must be a list of names");
    try {
      directions.push_back(direction_named(std::string_view(name.get_string())));
    } catch (const ValueError& error) { reader.fail(fmt::format("directions: {}", error.what())); }
  }
  return directions;
}

// A configuration may ask for any amount of memory: it gets what the weights beside it justify.
void check_described(const TranslationConfig& c, const WeightsFile& weights, const fs::path& folder) {
  const auto width = static_cast<double>(c.width);
  const double layers =
      static_cast<double>(c.encoder_layers) * (4 * width + 2 * static_cast<double>(c.encoder_hidden)) +
      static_cast<double>(c.decoder_layers) * (8 * width + 2 * static_cast<double>(c.decoder_hidden));
  const double described = width * (static_cast<double>(c.vocab_size) + layers);
  double held = 0;
  for (const TensorInfo& tensor : weights.tensors()) held += static_cast<double>(numel_of(tensor.shape));
  constexpr double kSlack = 1 << 20;
  if (described <= 2 * held + kSlack) return;
  throw DataError(fmt::format("{}: describes {:.0f} parameters, but {} holds {:.0f}; they are of different models",
                              (folder / kConfigFile).string(), described, weights.path(), held));
}

}  // namespace

std::string name_of(const TranslationDirection& direction) {
  return fmt::format("{}-{}", direction.from, direction.to);
}

TranslationDirection direction_named(std::string_view text) {
  const size_t at = text.find('-');
  const bool good = at != text.npos && at > 0 && at + 1 < text.size() && text.find('-', at + 1) == text.npos &&
                    std::ranges::none_of(text, [](char c) { return c == '<' || c == '>' || (c >= 0 && c <= ' '); });
  if (!good) throw ValueError(fmt::format("the direction '{}' must be two languages, such as en-zh", text));
  return {std::string(text.substr(0, at)), std::string(text.substr(at + 1))};
}

std::string language_token(std::string_view language) { return fmt::format(">>{}<<", language); }

void save_translation_model(const fs::path& folder, TranslationModel& model, const Tokenizer& tokenizer,
                            const std::vector<TranslationDirection>& directions) {
  const TranslationConfig& c = model.config();
  check_own_form(c);
  boost::json::object config = {{"task", "translation"}, {"model_type", kTranslationType}};
  for (const auto& [field, member] : kSizes) config[field] = c.*member;
  for (const auto& [field, member] : kRates) config[field] = c.*member;
  for (const auto& [field, member] : kIds) config[field] = c.*member;
  boost::json::array names;
  for (const TranslationDirection& direction : directions) names.emplace_back(name_of(direction));
  config["directions"] = std::move(names);
  config["torch_dtype"] = "float32";
  SafetensorsFile weights;
  for (auto& [name, tensor] : model.state_dict()) weights.tensors.emplace(name, tensor);
  StagedDirectory staged(folder);
  write_file_atomically(staged.path() / kConfigFile, boost::json::serialize(config) + "\n");
  tokenizer.save(staged.path());
  save_safetensors(staged.path() / kTranslationWeights, weights);
  staged.commit();
}

TranslationFolder load_translation_model(const fs::path& folder, std::optional<double> dropout) {
  const ConfigReader reader(folder / kConfigFile);
  require_task(reader, "translation");
  reader.only("model_type", kTranslationType);
  TranslationConfig config = config_in(reader);
  if (dropout) config.dropout = *dropout;
  std::vector<TranslationDirection> directions = directions_in(reader);
  Tokenizer tokenizer = Tokenizer::load(folder, static_cast<int32_t>(config.max_tokens));
  if (tokenizer.vocab_size() > config.vocab_size) {
    reader.fail(
        fmt::format("vocab_size: is {}, but the tokenizer has {} entries", config.vocab_size, tokenizer.vocab_size()));
  }
  const WeightsFile file = open_weights(folder);
  check_described(config, file, folder);
  StateDict weights;
  for (const TensorInfo& tensor : file.tensors()) weights.emplace(tensor.name, file.tensor(tensor.name));
  const init::SkippedInit skipped;
  Generator unused;
  auto model = std::make_unique<TranslationModel>(config, unused);
  try {
    model->adopt_state_dict(weights);
  } catch (const DataError& error) { throw DataError(file.path() + ": " + error.what()); }
  model->eval();
  return {std::move(model), std::move(tokenizer), std::move(directions)};
}

}  // namespace qing::nn
