// The tokenizer's files in a model directory.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <qing/nn/text/folder_files.h>
#include <qing/nn/text/pipeline/pipeline.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/nn/text/tokenizer_json.h>
#include <qing/nn/text/transformers_folder.h>
#include <qing/nn/text/vocabulary_pruning.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

using text::kTokenizerConfigFile, text::kTokenizerFile, text::kVocabFile;

json::value or_null(std::optional<bool> flag) { return flag ? json::value(*flag) : json::value(nullptr); }

// The format of `tokenizers` (https://huggingface.co/docs/tokenizers), which describes the whole pipeline.
json::object pipeline(const Tokenizer& t) {
  const auto id = [&](std::string_view token) { return t.id(token); };
  json::object vocabulary;
  for (int32_t i = 0; i < t.vocab_size(); ++i) vocabulary[t.token(i)] = i;
  return {
      {"version", "1.0"},
      {"truncation", text::truncation_json(t.options().max_length)},
      {"padding", nullptr},
      {"added_tokens", text::special_tokens_json(id)},
      {"normalizer",
       {{"type", "BertNormalizer"},
        {"clean_text", true},
        {"handle_chinese_chars", t.options().tokenize_chinese_chars},
        {"strip_accents", or_null(t.options().strip_accents)},
        {"lowercase", t.options().lowercase}}},
      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
      {"post_processor", text::bert_template_json(id)},
      {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
      {"model",
       {{"type", "WordPiece"},
        {"unk_token", "[UNK]"},
        {"continuing_subword_prefix", "##"},
        {"max_input_chars_per_word", kMaxWordCharacters},
        {"vocab", vocabulary}}},
  };
}

// The id of the first name that the tokenizer has, or -1.
int32_t first_id(const text::Pipeline& pipeline, const std::optional<std::string>& name,
                 std::initializer_list<std::string_view> usual) {
  if (name) return pipeline.id(*name);
  for (const std::string_view token : usual) {
    if (const int32_t id = pipeline.id(token); id >= 0) return id;
  }
  return -1;
}

}  // namespace

Tokenizer::Tokenizer(text::LoadedFolder loaded, text::FolderFiles files)
    : options_(loaded.options),
      plain_bert_(loaded.plain_bert),
      files_(std::make_unique<text::FolderFiles>(std::move(files))) {
  pipeline_ = std::make_unique<text::Pipeline>(std::move(loaded.parts));
  const auto name = [&](text::NamedToken which) { return loaded.names[static_cast<size_t>(which)]; };
  special_[0] = first_id(*pipeline_, name(text::NamedToken::kPad), {"[PAD]", "<pad>"});
  special_[1] = pipeline_->parts().model->unknown();
  if (special_[1] < 0) special_[1] = first_id(*pipeline_, name(text::NamedToken::kUnk), {"[UNK]", "<unk>"});
  special_[2] = first_id(*pipeline_, name(text::NamedToken::kCls), {"[CLS]", "<s>"});
  special_[3] = first_id(*pipeline_, name(text::NamedToken::kSep), {"[SEP]", "</s>"});
  special_[4] = first_id(*pipeline_, name(text::NamedToken::kMask), {"[MASK]", "<mask>"});
}

Tokenizer Tokenizer::load(const fs::path& directory, std::optional<int32_t> room, bool lowercase) {
  return from(text::FolderFiles(directory), room, lowercase);
}

Tokenizer Tokenizer::from(text::FolderFiles files, std::optional<int32_t> room, bool lowercase) {
  const std::string directory = files.directory().string();
  text::LoadedFolder loaded = text::load_folder(files, lowercase);
  const int32_t otherwise = room.value_or(loaded.file_limit.value_or(kDefaultMaxLength));
  const int32_t limit = loaded.max_length.value_or(otherwise);
  loaded.options.max_length = std::min(limit, room.value_or(limit));
  const auto added = static_cast<int32_t>(loaded.parts.post_processing.added(false));
  if (loaded.options.max_length < added) {
    throw DataError(fmt::format("{}: texts of at most {} tokens leave no room for {} special tokens", directory,
                                loaded.options.max_length, added));
  }
  loaded.parts.truncation->max_length = static_cast<size_t>(loaded.options.max_length);
  try {
    return Tokenizer(std::move(loaded), std::move(files));
  } catch (const DataError& error) { throw DataError(directory + ": " + error.what()); }
}

Tokenizer Tokenizer::described(std::string tokenizer_json, std::string tokenizer_config_json) {
  text::FolderFiles files;
  files.set(kTokenizerFile, std::move(tokenizer_json));
  files.set(kTokenizerConfigFile, std::move(tokenizer_config_json));
  return from(std::move(files), {});
}

Tokenizer Tokenizer::load_file(const fs::path& file) {
  text::FolderFiles files;
  const bool pieces = file.extension() == ".model" || file.extension() == ".spm";
  const std::string name = pieces ? file.filename().string() : kTokenizerFile;
  files.set(name, text::read_bounded_file(file));
  text::LoadedFolder loaded = text::load_tokenizer_file(file, files.text(name));
  loaded.options.max_length = loaded.max_length.value_or(std::numeric_limits<int32_t>::max());
  try {
    Tokenizer tokenizer(std::move(loaded), std::move(files));
    tokenizer.alone_ = true;
    return tokenizer;
  } catch (const DataError& error) { throw DataError(file.string() + ": " + error.what()); }
}

void Tokenizer::check_folder(const char* what) const {
  if (alone_) throw ValueError(fmt::format("{}: needs a tokenizer that was read from a folder, not from a file", what));
}

Tokenizer Tokenizer::limited(int32_t max_length) const {
  check_folder("limited");
  if (!files_) {
    TokenizerOptions options = options_;
    options.max_length = max_length;
    return Tokenizer(tokens(), options);
  }
  json::object config;
  if (files_->has(kTokenizerConfigFile)) {
    config = text::JsonFile(files_->path(kTokenizerConfigFile), files_->text(kTokenizerConfigFile)).cursor().object();
  }
  config["model_max_length"] = max_length;
  text::FolderFiles files = *files_;
  files.set(kTokenizerConfigFile, json::serialize(config) + "\n");
  return from(std::move(files), max_length);
}

PrunedTokenizer Tokenizer::pruned(std::span<const int32_t> used) const {
  check_folder("pruned");
  std::set<int32_t> ids(used.begin(), used.end());
  for (const int32_t id : ids) token(id);
  for (const int32_t id : special_) {
    if (id >= 0) ids.insert(id);
  }
  if (!files_) {
    const std::vector<int32_t> kept(ids.begin(), ids.end());
    std::vector<std::string> vocabulary;
    vocabulary.reserve(kept.size());
    for (const int32_t id : kept) vocabulary.push_back(token(id));
    return {Tokenizer(vocabulary, options_), kept};
  }
  const std::vector<int32_t> kept = text::kept_ids(*files_, *pipeline_, std::move(ids));
  Tokenizer result = from(text::pruned_files(*files_, *pipeline_, kept), options_.max_length);
  for (size_t i = 0; i < kept.size(); ++i) {
    if (result.pipeline_->token(static_cast<int32_t>(i)) == token(kept[i])) continue;
    throw DataError(fmt::format("{}: its vocabulary cannot be pruned: '{}' would not get the id {}",
                                files_->directory().string(), token(kept[i]), i));
  }
  return {std::move(result), kept};
}

std::vector<std::string> Tokenizer::tokens() const {
  std::vector<std::string> result;
  result.reserve(static_cast<size_t>(vocab_size()));
  for (int32_t id = 0; id < vocab_size(); ++id) result.push_back(token(id));
  return result;
}

std::string Tokenizer::pipeline_json() const {
  if (!plain_bert_) {
    throw ValueError(
        "the tokenizer is not BERT's with its usual special tokens; only that one is described anew as tokenizer.json");
  }
  return json::serialize(pipeline(*this)) + "\n";
}

void Tokenizer::save(const fs::path& directory) const {
  if (files_) {
    files_->save(directory);
    return;
  }
  std::string lines;
  for (int32_t i = 0; i < vocab_size(); ++i) lines += token(i) + "\n";
  json::object config = {{"tokenizer_class", "BertTokenizer"},
                         {"do_lower_case", options_.lowercase},
                         {"model_max_length", options_.max_length},
                         {"tokenize_chinese_chars", options_.tokenize_chinese_chars},
                         {"strip_accents", or_null(options_.strip_accents)}};
  for (const auto& name : text::special_token_names()) config[name.key()] = name.value();
  write_file_atomically(directory / kVocabFile, lines);
  write_file_atomically(directory / kTokenizerFile, pipeline_json());
  write_file_atomically(directory / kTokenizerConfigFile, json::serialize(config) + "\n");
}

}  // namespace qing::nn
