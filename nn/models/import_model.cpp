#include <qing/nn/models/import_model.h>

#include <fmt/format.h>

#include <boost/json.hpp>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
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
#include <qing/nn/staged_directory.h>
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
                                           "spiece.model",
                                           "sentence_bert_config.json"};

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

void copy_if_there(const fs::path& from, const fs::path& to) {
  if (is_there(from)) write_file_atomically(to, read_file(from));
}

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
  for (const char* name : {"modules.json", kNgramsFile}) check(name);
  staged.commit();
  for (const fs::path& path : stale) fs::remove(path, none);
}

// An ONNX, a GGUF or an E5S1 file. The directory is loaded before it takes the place of what was there.
ImportedModel import_file(const fs::path& source, const fs::path& out) {
  StagedDirectory staged(out);
  save_imported_encoder(staged.path(), import_encoder(source));
  try {
    const Loaded loaded = load(staged.path(), read_sentence_modules(staged.path()));
    const EncoderConfig config = EncoderConfig::load(staged.path() / "config.json");
    commit_alone(staged, out);
    return description_of(loaded, config);
  } catch (const DataError& error) { throw DataError(source.string() + ": " + error.what()); }
}

}  // namespace

ImportedModel import_model(const fs::path& source, const fs::path& out) {
  std::error_code absent;
  if (fs::equivalent(source, out, absent)) {
    throw ValueError(fmt::format("import: {} is the source; give another folder", out.string()));
  }
  if (fs::is_regular_file(source, absent)) return import_file(source, out);
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
  StagedDirectory staged(out);
  std::optional<StagedDirectory> pooling;
  if (!modules.pooling.empty()) {
    pooling.emplace(out / kPoolingFolder);
    write_file_atomically(pooling->path() / "config.json", read_file(modules.pooling));
    write_file_atomically(staged.path() / "modules.json", modules_json(modules.options.normalize));
  }
  save_safetensors(staged.path() / "model.safetensors", kept);
  write_file_atomically(staged.path() / "config.json", read_file(modules.encoder / "config.json"));
  for (const char* name : kTokenizerFiles) copy_if_there(modules.encoder / name, staged.path() / name);
  if (pooling) pooling->commit();
  commit_alone(staged, out);
  return description_of(loaded, config);
}

}  // namespace qing::nn
