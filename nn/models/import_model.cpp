#include <qing/nn/models/import_model.h>

#include <fmt/format.h>

#include <boost/json.hpp>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <qing/nn/formats/imported_encoder.h>
#include <qing/nn/formats/open_weights.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/models/config_reader.h>
#include <qing/nn/models/ngram_head.h>
#include <qing/nn/models/parameter_names.h>
#include <qing/nn/models/pretrained.h>
#include <qing/nn/models/sentence_embedding.h>
#include <qing/nn/models/sentence_modules.h>
#include <qing/nn/models/translation_import.h>
#include <qing/nn/staged_directory.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/nn/unique_keys.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace fs = std::filesystem;

// What tokenizers of the families are made of.
constexpr const char* kTokenizerFiles[] = {"tokenizer.json",
                                           "tokenizer_config.json",
                                           "special_tokens_map.json",
                                           "added_tokens.json",
                                           "vocab.txt",
                                           "vocab.json",
                                           "merges.txt",
                                           "sentencepiece.bpe.model",
                                           "spiece.model"};
// Settings of sentence-transformers that stand beside modules.json or in the folder of its encoder.
constexpr const char* kSentenceFiles[] = {"config_sentence_transformers.json", "sentence_bert_config.json"};

constexpr const char* kPoolingFolder = "1_Pooling";

struct Loaded {
  std::string task;
  std::unique_ptr<Module> model;
};

std::string architecture_of(const fs::path& directory) {
  const ConfigReader reader(directory / "config.json");
  const boost::json::value* names = reader.find("architectures");
  const boost::json::array* list = names == nullptr ? nullptr : names->if_array();
  if (list == nullptr || list->empty() || !list->front().is_string()) return {};
  return std::string(list->front().get_string());
}

Loaded load(const fs::path& source, const SentenceModules& modules) {
  const std::string architecture = architecture_of(modules.encoder);
  const std::string_view name = architecture;
  if (holds_sentence_embedding(source)) { return {"sentence embedding", load_sentence_encoder(source)}; }
  if (name.ends_with("ForSequenceClassification")) {
    return {"sequence classification", load_sequence_classifier(source)};
  }
  if (name.ends_with("ForTokenClassification")) return {"token classification", load_token_classifier(source)};
  if (name.ends_with("ForMaskedLM") || name.ends_with("ForPreTraining")) {
    return {"masked language model", load_masked_lm(source)};
  }
  throw DataError(
      fmt::format("{}: architectures: '{}' is not supported; only models ...ForSequenceClassification, "
                  "...ForTokenClassification, ...ForMaskedLM, ...ForPreTraining and encoders without a "
                  "head are",
                  (modules.encoder / "config.json").string(), architecture));
}

// The encoder's files stand in the directory itself, wherever the source has them.
std::string modules_json(bool normalize) {
  boost::json::array modules;
  const auto add = [&](const char* path, const char* kind) {
    const size_t index = modules.size();
    modules.push_back({{"idx", index},
                       {"name", std::to_string(index)},
                       {"path", path},
                       {"type", std::string("sentence_transformers.models.") + kind}});
  };
  add("", "Transformer");
  add(kPoolingFolder, "Pooling");
  if (normalize) add("2_Normalize", "Normalize");
  return boost::json::serialize(modules) + "\n";
}

bool copy_if_there(const fs::path& from, const fs::path& to) {
  if (!is_there(from)) return false;
  write_file_atomically(to, read_file(from));
  return true;
}

// modules.json and the pooling's config.json, or nothing for a source that has no modules.json and a caller that names
// no pooling.
class PoolingFiles {
 public:
  PoolingFiles(const SentenceModules& modules, const ImportOptions& options, const fs::path& source)
      : normalize_(modules.options.normalize) {
    if (!modules.pooling.empty()) {
      if (options.pooling) {
        throw ValueError(
            fmt::format("import: {} says the pooling; leave the option pooling out", modules.pooling.string()));
      }
      config_ = read_file(modules.pooling);
    } else if (options.pooling) {
      if (!holds_sentence_embedding(source)) {
        throw ValueError("import: a model with a head has no pooling; leave the option pooling out");
      }
      config_ = pooling_json(*options.pooling);
    }
  }
  bool empty() const { return config_.empty(); }
  const std::string& config() const { return config_; }
  bool normalizes() const { return normalize_; }

 private:
  static std::string pooling_json(SentencePooling pooling) {
    const boost::json::object config = {{"pooling_mode_cls_token", pooling == SentencePooling::cls},
                                        {"pooling_mode_mean_tokens", pooling == SentencePooling::mean}};
    return boost::json::serialize(config) + "\n";
  }

  bool normalize_;
  std::string config_;
};

ImportedModel description_of(const Loaded& loaded, const EncoderConfig& config) {
  return {.task = loaded.task,
          .model_type = std::string(names_of(config.family).model_type),
          .parameters = loaded.model->parameter_count()};
}

// Files of an earlier model, which would be read beside the new one's, go.
void commit_alone(StagedDirectory& staged, const fs::path& out) {
  std::vector<fs::path> stale;
  std::error_code none;
  const auto check = [&](const char* name) {
    if (!fs::exists(staged.path() / name, none)) stale.push_back(out / name);
  };
  for (const char* name : kTokenizerFiles) check(name);
  for (const char* name : kSentenceFiles) check(name);
  for (const char* name : {"modules.json", "generation_config.json", kNgramsFile}) check(name);
  staged.commit();
  for (const fs::path& path : stale) fs::remove(path, none);
}

// StagedDirectory moves files alone, so the folder of the pooling has a stage of its own.
void commit_with_pooling(StagedDirectory& staged, const PoolingFiles& pooling, const fs::path& out) {
  if (pooling.empty()) return commit_alone(staged, out);
  StagedDirectory folder(out / kPoolingFolder);
  write_file_atomically(folder.path() / "config.json", pooling.config());
  write_file_atomically(staged.path() / "modules.json", modules_json(pooling.normalizes()));
  folder.commit();
  commit_alone(staged, out);
}

void check_tokenizer(const fs::path& folder, const EncoderConfig& config) {
  const Tokenizer tokenizer = Tokenizer::load(folder, static_cast<int32_t>(config.max_tokens()));
  if (tokenizer.vocab_size() <= config.vocab_size) return;
  throw DataError(fmt::format("the tokenizer has {} entries, but the encoder room for {}; they are of different models",
                              tokenizer.vocab_size(), config.vocab_size));
}

// The names of the labels, if the config.json beside a file describes the encoder that the file holds.
bool take_labels(const fs::path& beside, const fs::path& config_file) {
  if (!is_there(beside)) return false;
  boost::json::value described = read_json_file(beside), own = read_json_file(config_file);
  if (!described.is_object() || !own.is_object() || !own.get_object().contains("id2label")) return false;
  const boost::json::object& theirs = described.get_object();
  boost::json::object& ours = own.get_object();
  for (const char* size : {"model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"}) {
    const boost::json::value* value = theirs.if_contains(size);
    if (value == nullptr || *value != ours.at(size)) return false;
  }
  const boost::json::value* labels = theirs.if_contains("id2label");
  if (labels == nullptr || !labels->is_object() ||
      labels->get_object().size() != ours.at("id2label").get_object().size()) {
    return false;
  }
  for (const char* name : {"id2label", "label2id", "problem_type"}) {
    if (const boost::json::value* value = theirs.if_contains(name)) ours[name] = *value;
  }
  write_file_atomically(config_file, boost::json::serialize(own) + "\n");
  return true;
}

// What stands in the folder around a file and belongs to its model. Returns the names.
std::vector<std::string> take_neighbours(const fs::path& folder, const fs::path& staged) {
  std::vector<std::string> taken;
  if (is_there(folder / "tokenizer.json") || is_there(folder / "vocab.txt")) {
    std::error_code none;
    for (const char* name : kTokenizerFiles) fs::remove(staged / name, none);
    for (const char* name : kTokenizerFiles) {
      if (copy_if_there(folder / name, staged / name)) taken.emplace_back(name);
    }
  }
  if (take_labels(folder / "config.json", staged / "config.json")) taken.emplace_back("config.json");
  return taken;
}

// An ONNX, a GGUF or an E5S1 file. The directory is loaded before it takes the place of what was there.
ImportedModel import_file(const fs::path& source, const fs::path& out, const ImportOptions& options) {
  StagedDirectory staged(out);
  save_imported_encoder(staged.path(), import_encoder(source));
  const fs::path folder = fs::absolute(source).parent_path();
  std::vector<std::string> taken = take_neighbours(folder, staged.path());
  SentenceModules modules{.encoder = staged.path()};
  if (is_there(folder / "modules.json") && holds_sentence_embedding(staged.path())) {
    modules = read_sentence_modules(folder);
    taken.emplace_back("modules.json");
    for (const char* name : kSentenceFiles) {
      if (copy_if_there(folder / name, staged.path() / name)) taken.emplace_back(name);
    }
  }
  const PoolingFiles pooling(modules, options, staged.path());
  try {
    const Loaded loaded = load(staged.path(), read_sentence_modules(staged.path()));
    const EncoderConfig config = EncoderConfig::load(staged.path() / "config.json");
    const bool has_tokenizer = is_there(staged.path() / "tokenizer.json") || is_there(staged.path() / "vocab.txt");
    if (has_tokenizer) check_tokenizer(staged.path(), config);
    commit_with_pooling(staged, pooling, out);
    ImportedModel model = description_of(loaded, config);
    model.taken = std::move(taken);
    model.has_tokenizer = has_tokenizer;
    return model;
  } catch (const DataError& error) { throw DataError(source.string() + ": " + error.what()); }
}

// An encoder-decoder. Fixed positions and second names of the table of embeddings are left out.
ImportedModel import_translation(const fs::path& source, const fs::path& out, const ImportOptions& options) {
  if (options.pooling) throw ValueError("import: a translation model has no pooling; leave the option pooling out");
  const PretrainedTranslation loaded = load_pretrained_translation(source);
  const TranslationConfig& config = loaded.model->config();
  const bool has_tokenizer = is_there(source / "tokenizer.json");
  if (has_tokenizer && Tokenizer::load(source).vocab_size() > config.vocab_size) {
    throw DataError(
        fmt::format("{}: the tokenizer has {} entries, but the model room for {}; they are of different models",
                    source.string(), Tokenizer::load(source).vocab_size(), config.vocab_size));
  }
  const StateDict own = loaded.model->state_dict();
  const WeightsFile file = open_weights(source);
  SafetensorsFile kept;
  for (const TensorInfo& tensor : file.tensors()) {
    if (own.contains(translation_parameter_name(tensor.name, config.tie_output))) {
      kept.tensors.emplace(tensor.name, file.tensor(tensor.name));
    }
  }
  StagedDirectory staged(out);
  save_safetensors(staged.path() / "model.safetensors", kept);
  for (const char* name : {"config.json", "generation_config.json"}) copy_if_there(source / name, staged.path() / name);
  for (const char* name : kTokenizerFiles) copy_if_there(source / name, staged.path() / name);
  load_pretrained_translation(staged.path());
  commit_alone(staged, out);
  return {.task = "translation",
          .model_type = loaded.model_type,
          .parameters = loaded.model->parameter_count(),
          .has_tokenizer = has_tokenizer};
}

}  // namespace

ImportedModel import_model(const fs::path& source, const fs::path& out, const ImportOptions& options) {
  std::error_code absent;
  if (fs::equivalent(source, out, absent)) {
    throw ValueError(fmt::format("import: {} is the source; give another folder", out.string()));
  }
  if (fs::is_regular_file(source, absent)) return import_file(source, out, options);
  if (is_there(source / "config.json") && is_pretrained_translation(source)) {
    return import_translation(source, out, options);
  }
  const SentenceModules modules = read_sentence_modules(source);
  if (fs::exists(modules.encoder / kNgramsFile, absent)) {
    throw DataError(fmt::format("{}: a model of qing with n-grams; copy the folder instead", source.string()));
  }
  const EncoderConfig config = EncoderConfig::load(modules.encoder / "config.json");
  const Loaded loaded = load(source, modules);
  const StateDict own = loaded.model->state_dict();
  const WeightsFile file = open_weights(modules.encoder);
  SafetensorsFile kept;
  for (const auto& [name, format, dtype, shape] : file.tensors()) {
    // The decoder of a masked language model is another name of a tensor, or the model's own.
    const std::string ours = parameter_name(config, name);
    if (own.contains(ours) || (own.contains("cls.predictions.bias") && ours.starts_with("cls.predictions.decoder."))) {
      kept.tensors.emplace(current_parameter_name(name), file.tensor(name));
    }
  }
  const PoolingFiles pooling(modules, options, source);
  StagedDirectory staged(out);
  save_safetensors(staged.path() / "model.safetensors", kept);
  write_file_atomically(staged.path() / "config.json", read_file(modules.encoder / "config.json"));
  for (const char* name : kTokenizerFiles) copy_if_there(modules.encoder / name, staged.path() / name);
  if (!modules.pooling.empty()) copy_if_there(source / kSentenceFiles[0], staged.path() / kSentenceFiles[0]);
  copy_if_there(modules.encoder / kSentenceFiles[1], staged.path() / kSentenceFiles[1]);
  commit_with_pooling(staged, pooling, out);
  return description_of(loaded, config);
}

}  // namespace qing::nn
