// The tokenizer's files in a model directory: vocab.txt, tokenizer.json, tokenizer_config.json.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <qing/nn/text/tokenizer.h>
#include <qing/nn/unique_keys.h>
#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr const char* kVocabFile = "vocab.txt";
constexpr const char* kTokenizerFile = "tokenizer.json";
constexpr const char* kConfigFile = "tokenizer_config.json";

json::object special_token(std::string_view text, int32_t id) {
  return {{"id", id},        {"content", text},     {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

json::object template_part(std::string_view kind, std::string_view id) {
  return {{std::string(kind), {{"id", id}, {"type_id", 0}}}};
}

json::value or_null(std::optional<bool> flag) { return flag ? json::value(*flag) : json::value(nullptr); }

// The format of `tokenizers` (https://huggingface.co/docs/tokenizers), which describes the whole pipeline.
json::object pipeline(const Tokenizer& t) {
  json::array added;
  for (const std::string_view token : kSpecialTokens) added.push_back(special_token(token, t.id(token)));
  json::object vocabulary;
  for (int32_t i = 0; i < t.vocab_size(); ++i) vocabulary[t.token(i)] = i;
  const auto known = [&](std::string_view token) {
    return json::object{{"id", token}, {"ids", {t.id(token)}}, {"tokens", {token}}};
  };
  const json::object pair_b = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
  const json::object pair_end = {{"SpecialToken", {{"id", "[SEP]"}, {"type_id", 1}}}};
  return {
      {"version", "1.0"},
      {"truncation",
       {{"direction", "Right"}, {"max_length", t.options().max_length}, {"strategy", "LongestFirst"}, {"stride", 0}}},
      {"padding", nullptr},
      {"added_tokens", added},
      {"normalizer",
       {{"type", "BertNormalizer"},
        {"clean_text", true},
        {"handle_chinese_chars", t.options().tokenize_chinese_chars},
        {"strip_accents", or_null(t.options().strip_accents)},
        {"lowercase", t.options().lowercase}}},
      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single", json::array{template_part("SpecialToken", "[CLS]"), template_part("Sequence", "A"),
                               template_part("SpecialToken", "[SEP]")}},
        {"pair", json::array{template_part("SpecialToken", "[CLS]"), template_part("Sequence", "A"),
                             template_part("SpecialToken", "[SEP]"), pair_b, pair_end}},
        {"special_tokens", {{"[CLS]", known("[CLS]")}, {"[SEP]", known("[SEP]")}}}}},
      {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
      {"model",
       {{"type", "WordPiece"},
        {"unk_token", "[UNK]"},
        {"continuing_subword_prefix", "##"},
        {"max_input_chars_per_word", kMaxWordCharacters},
        {"vocab", vocabulary}}},
  };
}

// A file with one JSON object. Errors name the file and the field, such as "normalizer.type" for a nested field.
class JsonFile {
 public:
  explicit JsonFile(fs::path path) : path_(std::move(path)) {
    const std::string text = read_file(path_);
    try {
      value_ = parse_file_json(text);
    } catch (const DataError& error) { fail(error.what()); }
    if (!value_.is_object()) fail("not a JSON object");
  }

  [[noreturn]] void fail(const std::string& what) const { throw DataError(path_.string() + ": " + what); }

  // Returns null if the field does not exist. A field with the value null exists.
  const json::value* find(std::string_view field) const {
    const json::value* at = &value_;
    while (at != nullptr && !field.empty()) {
      const size_t dot = std::min(field.find('.'), field.size());
      const json::object* object = at->if_object();
      at = object == nullptr ? nullptr : object->if_contains(field.substr(0, dot));
      field.remove_prefix(std::min(dot + 1, field.size()));
    }
    return at;
  }
  std::string text(std::string_view field) const {
    const json::value* value = find(field);
    return value == nullptr ? "missing" : json::serialize(*value);
  }
  // Refuses any value but the one that qing supports.
  void only(std::string_view field, const json::value& supported) const {
    const json::value* value = find(field);
    if (value != nullptr && *value == supported) return;
    fail(fmt::format("{}: {} is not supported; only BERT's {} is", field, text(field), json::serialize(supported)));
  }
  bool flag(std::string_view field) const {
    const json::value* value = find(field);
    if (value == nullptr || !value->is_bool()) fail(fmt::format("{}: {} is not true or false", field, text(field)));
    return value->get_bool();
  }
  std::optional<bool> flag_or_null(std::string_view field) const {
    const json::value* value = find(field);
    return value == nullptr || value->is_null() ? std::nullopt : std::optional(flag(field));
  }

 private:
  fs::path path_;
  json::value value_;
};

std::vector<std::string> read_lines(const fs::path& path) {
  const std::string content = read_file(path);
  if (const auto at = find_invalid_utf8(content)) {
    throw DataError(fmt::format("{}: invalid UTF-8 at byte {}", path.string(), *at));
  }
  if (without_byte_order_mark(content).size() != content.size()) {
    throw DataError(path.string() +
                    ": begins with a byte order mark, which would be part of the first token; "
                    "save the file as UTF-8 without one");
  }
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < content.size();) {
    size_t end = content.find('\n', begin);
    if (end == std::string::npos) end = content.size();
    const size_t stop = end > begin && content[end - 1] == '\r' ? end - 1 : end;
    lines.emplace_back(content, begin, stop - begin);
    begin = end + 1;
  }
  return lines;
}

std::vector<std::string> read_vocabulary(const JsonFile& file) {
  const json::value* vocab = file.find("model.vocab");
  if (vocab == nullptr || !vocab->is_object()) file.fail("model.vocab: not an object");
  const json::object& map = vocab->get_object();
  const auto size = static_cast<int64_t>(map.size());
  std::vector<std::string> tokens(map.size());
  std::vector<bool> seen(map.size());
  for (const auto& [token, id] : map) {
    const int64_t at = id.is_int64() ? id.get_int64() : -1;
    if (at < 0 || at >= size || seen[static_cast<size_t>(at)]) {
      file.fail(fmt::format("model.vocab: the id of '{}' is {}; ids are the numbers from 0 to {}, each once",
                            std::string_view(token), json::serialize(id), size - 1));
    }
    seen[static_cast<size_t>(at)] = true;
    tokens[static_cast<size_t>(at)] = std::string(token);
  }
  return tokens;
}

// Only the special tokens are matched literally in the text.
void check_added_tokens(const JsonFile& file, const std::map<std::string_view, int64_t>& special) {
  const json::value* added = file.find("added_tokens");
  if (added == nullptr || !added->is_array()) file.fail("added_tokens: not an array");
  std::set<std::string_view> seen;
  for (const json::value& token : added->get_array()) {
    const json::object* object = token.if_object();
    const auto has = [&](const char* name, const json::value& wanted) {
      const json::value* value = object == nullptr ? nullptr : object->if_contains(name);
      return value != nullptr && *value == wanted;
    };
    const auto known = std::find_if(special.begin(), special.end(), [&](const auto& entry) {
      return has("content", json::value(entry.first)) && has("id", entry.second);
    });
    const bool plain =
        has("single_word", false) && has("lstrip", false) && has("rstrip", false) && has("normalized", false);
    if (known == special.end() || !plain) {
      file.fail("added_tokens: " + json::serialize(token) + " is not one of BERT's special tokens in its usual form");
    }
    seen.insert(known->first);
  }
  for (const auto& [token, id] : special) {
    if (seen.count(token) == 0) file.fail(fmt::format("added_tokens: {} is missing", token));
  }
}

// Checks that [CLS] is added in front and [SEP] at the end, in either form that files use.
void check_post_processor(const JsonFile& file, int64_t cls, int64_t sep) {
  const json::value* type = file.find("post_processor.type");
  if (type != nullptr && *type == json::value("BertProcessing")) {
    file.only("post_processor.cls", json::array{"[CLS]", cls});
    file.only("post_processor.sep", json::array{"[SEP]", sep});
    return;
  }
  file.only("post_processor.type", "TemplateProcessing");
  file.only("post_processor.single", json::array{template_part("SpecialToken", "[CLS]"), template_part("Sequence", "A"),
                                                 template_part("SpecialToken", "[SEP]")});
  file.only("post_processor.special_tokens.[CLS].ids", json::array{cls});
  file.only("post_processor.special_tokens.[SEP].ids", json::array{sep});
}

// Refuses any pipeline other than BERT's, which would give different ids without an error.
std::vector<std::string> read_pipeline(const JsonFile& file, TokenizerOptions& options) {
  file.only("normalizer.type", "BertNormalizer");
  file.only("normalizer.clean_text", true);
  options.lowercase = file.flag("normalizer.lowercase");
  options.tokenize_chinese_chars = file.flag("normalizer.handle_chinese_chars");
  options.strip_accents = file.flag_or_null("normalizer.strip_accents");
  file.only("pre_tokenizer.type", "BertPreTokenizer");
  file.only("model.type", "WordPiece");
  file.only("model.unk_token", "[UNK]");
  file.only("model.continuing_subword_prefix", "##");
  file.only("model.max_input_chars_per_word", kMaxWordCharacters);
  std::vector<std::string> vocabulary = read_vocabulary(file);
  std::map<std::string_view, int64_t> special;
  for (const std::string_view token : kSpecialTokens) {
    const auto at = std::find(vocabulary.begin(), vocabulary.end(), token);
    if (at == vocabulary.end()) file.fail(fmt::format("model.vocab: {} is missing", token));
    special.emplace(token, at - vocabulary.begin());
  }
  check_added_tokens(file, special);
  check_post_processor(file, special.at("[CLS]"), special.at("[SEP]"));
  return vocabulary;
}

void read_config(const JsonFile& config, TokenizerOptions& options) {
  if (config.find("do_lower_case") != nullptr) options.lowercase = config.flag("do_lower_case");
  if (config.find("strip_accents") != nullptr) options.strip_accents = config.flag_or_null("strip_accents");
  if (config.find("tokenize_chinese_chars") != nullptr) {
    options.tokenize_chinese_chars = config.flag("tokenize_chinese_chars");
  }
  const json::value* length = config.find("model_max_length");
  if (length == nullptr || length->is_null()) return;
  const double limit = length->is_number() ? length->to_number<double>() : 0;
  if (!(limit >= 2)) {
    config.fail("model_max_length: " + json::serialize(*length) +
                " is not a number that leaves room for [CLS] and [SEP]");
  }
  // transformers writes 1e30 for "no limit".
  if (limit <= 1 << 20) options.max_length = static_cast<int32_t>(limit);
}

bool is_there(const fs::path& path) {
  std::error_code unreadable;  // ignored here: reading the file reports it
  return fs::exists(path, unreadable) || unreadable;
}

}  // namespace

Tokenizer Tokenizer::load(const fs::path& directory, int32_t max_length) {
  const fs::path vocab = directory / kVocabFile, pipeline = directory / kTokenizerFile;
  const bool has_vocab = is_there(vocab);
  if (!has_vocab && !is_there(pipeline)) {
    throw IoError(fmt::format("{}: holds neither {} nor {}", directory.string(), kVocabFile, kTokenizerFile));
  }
  TokenizerOptions options{.max_length = max_length};
  std::vector<std::string> vocabulary = has_vocab ? read_lines(vocab) : read_pipeline(JsonFile(pipeline), options);
  if (const fs::path config = directory / kConfigFile; is_there(config)) read_config(JsonFile(config), options);
  try {
    return Tokenizer(std::move(vocabulary), options);
  } catch (const ValueError& error) { throw DataError((has_vocab ? vocab : pipeline).string() + ": " + error.what()); }
}

void Tokenizer::save(const fs::path& directory) const {
  std::string lines;
  for (const std::string& token : vocabulary_) lines += token + "\n";
  const json::object config = {{"tokenizer_class", "BertTokenizer"},
                               {"do_lower_case", options_.lowercase},
                               {"model_max_length", options_.max_length},
                               {"tokenize_chinese_chars", options_.tokenize_chinese_chars},
                               {"strip_accents", or_null(options_.strip_accents)},
                               {"pad_token", "[PAD]"},
                               {"unk_token", "[UNK]"},
                               {"cls_token", "[CLS]"},
                               {"sep_token", "[SEP]"},
                               {"mask_token", "[MASK]"}};
  write_file_atomically(directory / kVocabFile, lines);
  write_file_atomically(directory / kTokenizerFile, json::serialize(pipeline(*this)) + "\n");
  write_file_atomically(directory / kConfigFile, json::serialize(config) + "\n");
}

}  // namespace qing::nn
