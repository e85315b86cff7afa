// The tokenizer's files in a model directory: vocab.txt, tokenizer.json, tokenizer_config.json.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <iterator>
#include <limits>
#include <string>

#include <qing/nn/text/tokenizer.h>
#include <qing/nn/text/utf8.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace json = boost::json;

constexpr const char* kVocabFile = "vocab.txt";
constexpr const char* kTokenizerFile = "tokenizer.json";
constexpr const char* kConfigFile = "tokenizer_config.json";

json::object special_token(std::string_view text, int32_t id) {
  return {{"id", id},          {"content", text},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false},   {"normalized", false}, {"special", true}};
}

json::object template_part(std::string_view kind, std::string_view id) {
  return {{std::string(kind), {{"id", id}, {"type_id", 0}}}};
}

// The format of `tokenizers` (https://huggingface.co/docs/tokenizers): the whole pipeline as data.
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
        {"handle_chinese_chars", true},
        {"strip_accents", nullptr},
        {"lowercase", t.options().lowercase}}},
      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single",
         json::array{template_part("SpecialToken", "[CLS]"), template_part("Sequence", "A"),
                     template_part("SpecialToken", "[SEP]")}},
        {"pair",
         json::array{template_part("SpecialToken", "[CLS]"), template_part("Sequence", "A"),
                     template_part("SpecialToken", "[SEP]"), pair_b, pair_end}},
        {"special_tokens", {{"[CLS]", known("[CLS]")}, {"[SEP]", known("[SEP]")}}}}},
      {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
      {"model",
       {{"type", "WordPiece"},
        {"unk_token", "[UNK]"},
        {"continuing_subword_prefix", "##"},
        {"max_input_chars_per_word", 100},
        {"vocab", vocabulary}}},
  };
}

TokenizerOptions read_options(const std::filesystem::path& path) {
  TokenizerOptions options;
  if (!std::filesystem::exists(path)) return options;
  const auto fail = [&](const std::string& what) { throw DataError(path.string() + ": " + what); };
  boost::system::error_code error;
  const json::value value = json::parse(read_file(path), error);
  if (error) fail("not JSON: " + error.message());
  if (!value.is_object()) fail("not a JSON object");
  const json::object& config = value.get_object();
  if (const json::value* lower = config.if_contains("do_lower_case"); lower != nullptr) {
    if (!lower->is_bool()) fail("do_lower_case: " + json::serialize(*lower) + " is not true or false");
    options.lowercase = lower->get_bool();
  }
  if (const json::value* length = config.if_contains("model_max_length"); length != nullptr && length->is_number()) {
    // transformers writes 1e30 for "no limit"; then the default stays.
    const double limit = length->to_number<double>();
    if (limit < 2) fail("model_max_length: " + json::serialize(*length) + " leaves no room for [CLS] and [SEP]");
    if (limit <= 1 << 20) options.max_length = static_cast<int32_t>(limit);
  }
  return options;
}

}  // namespace

Tokenizer Tokenizer::load(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kVocabFile;
  const std::string content = read_file(path);
  if (const auto at = find_invalid_utf8(content)) {
    throw DataError(fmt::format("{}: invalid UTF-8 at byte {}", path.string(), *at));
  }
  std::vector<std::string> vocabulary;
  for (size_t begin = 0; begin < content.size();) {
    size_t end = content.find('\n', begin);
    if (end == std::string::npos) end = content.size();
    const size_t stop = end > begin && content[end - 1] == '\r' ? end - 1 : end;
    vocabulary.emplace_back(content, begin, stop - begin);
    begin = end + 1;
  }
  try {
    return Tokenizer(std::move(vocabulary), read_options(directory / kConfigFile));
  } catch (const ValueError& error) {
    throw DataError(path.string() + ": " + error.what());
  }
}

void Tokenizer::save(const std::filesystem::path& directory) const {
  std::string lines;
  for (const std::string& token : vocabulary_) lines += token + "\n";
  const json::object config = {{"tokenizer_class", "BertTokenizer"},
                               {"do_lower_case", options_.lowercase},
                               {"model_max_length", options_.max_length},
                               {"tokenize_chinese_chars", true},
                               {"strip_accents", nullptr},
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
