#include <qing/nn/models/pretrained.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>
#include <string>
#include <utility>

#include <qing/nn/formats/open_weights.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/init.h>
#include <qing/nn/layers/linear.h>
#include <qing/nn/models/config_reader.h>
#include <qing/nn/models/encoder_config_json.h>
#include <qing/nn/models/parameter_names.h>
#include <qing/nn/models/sentence_modules.h>
#include <qing/nn/staged_directory.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/ops/compare.h>

namespace qing::nn {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWordEmbeddings = "bert.embeddings.word_embeddings.weight";
constexpr const char* kDecoder = "cls.predictions.decoder.weight";
constexpr const char* kBias = "cls.predictions.bias";
constexpr const char* kDecoderBias = "cls.predictions.decoder.bias";

// A configuration may ask for any amount of memory: it gets what the weights beside it justify. A lesser mismatch is
// left to load_state_dict, which lists all of them.
void check_size(const EncoderConfig& c, int64_t outputs, const WeightsFile& weights, const fs::path& directory) {
  const auto width = static_cast<double>(c.hidden_size), inner = static_cast<double>(c.intermediate_size);
  const auto rows = static_cast<double>(c.vocab_size + c.max_position_embeddings + c.type_vocab_size);
  const auto layers = static_cast<double>(c.family == EncoderFamily::albert ? c.num_hidden_groups * c.inner_group_num
                                                                            : c.num_hidden_layers);
  const double described = rows * static_cast<double>(c.embedding_width()) + static_cast<double>(outputs) * width +
                           layers * (4 * width * width + 2 * width * inner) + width * width;
  double held = 0;
  for (const TensorInfo& tensor : weights.tensors()) {
    if (!parameter_name(c, tensor.name).empty()) held += static_cast<double>(numel_of(tensor.shape));
  }
  constexpr double kSlack = 1 << 20;
  if (described > 2 * held + kSlack) {
    throw DataError(fmt::format("{}: describes {:.0f} parameters, but {} holds {:.0f}; they are of different models",
                                (directory / kConfigFile).string(), described, weights.path(), held));
  }
}

// The file may hold the tied tensors under both of their names. transformers computes with the decoder's own bias when
// nothing is tied, and then leaves the other one unused.
void resolve_ties(const EncoderConfig& config, PretrainedWeights& from) {
  StateDict& weights = from.tensors;
  const auto differ = [&](const char* a, const char* b) {
    const auto first = weights.find(a), second = weights.find(b);
    return first != weights.end() && second != weights.end() && !identical(first->second, second->second);
  };
  if (config.tie_word_embeddings) {
    for (const auto& [a, b] : {std::pair{kWordEmbeddings, kDecoder}, {kBias, kDecoderBias}}) {
      if (!differ(a, b)) continue;
      throw DataError(fmt::format("{}: {} and {} differ, but tie_word_embeddings says they are one", from.path, a, b));
    }
    weights.erase(kDecoder);
  }
  const auto own = weights.find(kDecoderBias);
  if (own == weights.end()) return;
  const Tensor bias = own->second;
  weights.erase(own);
  if (config.tie_word_embeddings) {
    weights.emplace(kBias, bias);
  } else {
    weights.insert_or_assign(kBias, bias);
  }
}

// A model whose weights are about to be read.
template <class Model, class... Arguments> std::unique_ptr<Model> uninitialized(const Arguments&... arguments) {
  const init::SkippedInit skipped;
  Generator unused;
  return std::make_unique<Model>(arguments..., unused);
}

// The architecture, if config.json names one, ends in `suffix`.
void check_architecture(const fs::path& directory, std::string_view suffix) {
  const ConfigReader reader(directory / kConfigFile);
  const boost::json::value* names = reader.find("architectures");
  if (names == nullptr) return;
  const boost::json::array* list = names->if_array();
  if (list != nullptr && list->empty()) return;
  const auto fits = [suffix](const boost::json::value& name) {
    return name.is_string() && std::string_view(name.get_string()).ends_with(suffix);
  };
  if (list != nullptr && std::ranges::any_of(*list, fits)) return;
  reader.fail(fmt::format("architectures: {} is not a model ...{}", boost::json::serialize(*names), suffix));
}

template <class Model>
std::unique_ptr<Model> load_classifier(const fs::path& directory, const ClassifierConfig& config,
                                       std::string_view suffix) {
  check_architecture(directory, suffix);
  PretrainedWeights weights = read_pretrained_weights(directory, config.encoder, std::ssize(config.labels));
  auto model = uninitialized<Model>(config);
  load_pretrained_weights(*model, std::move(weights));
  return model;
}

}  // namespace

PretrainedWeights read_pretrained_weights(const fs::path& directory, const EncoderConfig& config, int64_t outputs) {
  const WeightsFile file = open_weights(directory);
  check_size(config, outputs, file, directory);
  PretrainedWeights weights{.path = file.path(), .tensors = {}};
  for (const TensorInfo& tensor : file.tensors()) {
    const std::string ours = parameter_name(config, tensor.name);
    if (ours.empty()) continue;
    if (weights.tensors.emplace(ours, file.tensor(tensor.name)).second) continue;
    throw DataError(
        fmt::format("{}: {} is there twice under names of different versions; remove one", file.path(), tensor.name));
  }
  return weights;
}

void load_pretrained_weights(Module& model, PretrainedWeights weights) {
  const StateDict own = model.state_dict();
  std::erase_if(weights.tensors, [&own](const auto& entry) {
    const std::string& name = entry.first;
    const bool encoder = name.starts_with("bert.embeddings") || name.starts_with("bert.encoder.");
    return !encoder && !own.contains(name);
  });
  try {
    model.adopt_state_dict(weights.tensors);
  } catch (const DataError& error) { throw DataError(weights.path + ": " + error.what()); }
  for (const auto& [name, tensor] : weights.tensors) {
    if (tensor.dtype() != DType::f32) MappedFile::forget(tensor);  // it has been converted
  }
}

void pack_for_inference(Module& model, DType precision) {
  pack_linear_layers(model, precision);
  model.apply([](Module& part) {
    if (const auto* layer = dynamic_cast<const Linear*>(&part)) MappedFile::forget(layer->weight());
  });
}

std::unique_ptr<EncoderForSequenceClassification> load_sequence_classifier(const fs::path& directory) {
  return load_classifier<EncoderForSequenceClassification>(directory, ClassifierConfig::load(directory / kConfigFile),
                                                           "ForSequenceClassification");
}

std::unique_ptr<EncoderForTokenClassification> load_token_classifier(const fs::path& directory) {
  return load_classifier<EncoderForTokenClassification>(
      directory, ClassifierConfig::load_for_tokens(directory / kConfigFile), "ForTokenClassification");
}

std::unique_ptr<EncoderForMaskedLM> load_masked_lm(const fs::path& directory, std::optional<double> dropout) {
  EncoderConfig config = EncoderConfig::load(directory / kConfigFile);
  if (dropout) config.hidden_dropout_prob = config.attention_probs_dropout_prob = *dropout;
  PretrainedWeights weights = read_pretrained_weights(directory, config, 0);
  resolve_ties(config, weights);
  auto model = uninitialized<EncoderForMaskedLM>(config);
  load_pretrained_weights(*model, std::move(weights));
  return model;
}

void save_masked_lm(const fs::path& directory, EncoderForMaskedLM& model, const Tokenizer& tokenizer) {
  const EncoderConfig& encoder = model.config();
  const EncoderFamilyNames& names = names_of(encoder.family);
  boost::json::object config = {
      {"architectures", boost::json::array{std::string(names.class_prefix) + "ForMaskedLM"}},
      {"model_type", names.model_type},
  };
  write_encoder_config(encoder, config);
  config["torch_dtype"] = "float32";
  SafetensorsFile weights;
  for (auto& [name, tensor] : model.state_dict()) {
    weights.tensors.emplace(stored_parameter_name(encoder, name), tensor);
  }
  StagedDirectory staged(directory);
  write_file_atomically(staged.path() / kConfigFile, boost::json::serialize(config) + "\n");
  tokenizer.save(staged.path());
  save_safetensors(staged.path() / "model.safetensors", weights);
  staged.commit();
}

std::unique_ptr<SentenceEncoder> load_sentence_encoder(const fs::path& directory) {
  const SentenceModules modules = read_sentence_modules(directory);
  return load_sentence_encoder(modules.encoder, EncoderConfig::load(modules.encoder / kConfigFile), modules.options);
}

std::unique_ptr<SentenceEncoder> load_sentence_encoder(const fs::path& directory, const EncoderConfig& config,
                                                       const SentenceOptions& options) {
  PretrainedWeights weights = read_pretrained_weights(directory, config, 0);
  auto model = uninitialized<SentenceEncoder>(config, options);
  load_pretrained_weights(*model, std::move(weights));
  return model;
}

}  // namespace qing::nn
