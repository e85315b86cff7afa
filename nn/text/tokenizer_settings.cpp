#include <qing/nn/text/tokenizer_settings.h>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include <qing/nn/config_file.h>
#include <qing/nn/text/pipeline/pipeline_reader.h>
#include <qing/nn/unique_keys.h>
#include <qing/tensor/errors.h>

namespace qing::nn::text {
namespace {

namespace fs = std::filesystem;

struct ClassName {
  std::string_view name;
  TokenizerClass tokenizer_class;
};
// Without the "Fast" that older names end with.
constexpr ClassName kClasses[] = {
    {"BertTokenizer", TokenizerClass::kBert},
    {"DistilBertTokenizer", TokenizerClass::kBert},
    {"ElectraTokenizer", TokenizerClass::kBert},
    {"MobileBertTokenizer", TokenizerClass::kBert},
    {"SqueezeBertTokenizer", TokenizerClass::kBert},
    {"MPNetTokenizer", TokenizerClass::kMpnet},
    {"RobertaTokenizer", TokenizerClass::kRoberta},
    {"XLMRobertaTokenizer", TokenizerClass::kXlmRoberta},
    {"AlbertTokenizer", TokenizerClass::kAlbert},
    {"TokenizersBackend", TokenizerClass::kFile},
    {"PreTrainedTokenizer", TokenizerClass::kFile},
    {"MarianTokenizer", TokenizerClass::kMarian},
    {"M2M100Tokenizer", TokenizerClass::kM2m100},
    {"MBartTokenizer", TokenizerClass::kMbart},
    {"MBart50Tokenizer", TokenizerClass::kMbart50},
    {"NllbTokenizer", TokenizerClass::kNllb},
    {"T5Tokenizer", TokenizerClass::kT5},
};
// What AutoTokenizer takes for a model's type when no class is named.
constexpr ClassName kModelTypes[] = {
    {"bert", TokenizerClass::kBert},        {"distilbert", TokenizerClass::kBert},
    {"electra", TokenizerClass::kBert},     {"mobilebert", TokenizerClass::kBert},
    {"squeezebert", TokenizerClass::kBert}, {"mpnet", TokenizerClass::kMpnet},
    {"roberta", TokenizerClass::kRoberta},  {"xlm-roberta", TokenizerClass::kXlmRoberta},
    {"albert", TokenizerClass::kAlbert},    {"qing_bert_ngrams", TokenizerClass::kBert},
    {"marian", TokenizerClass::kMarian},    {"m2m_100", TokenizerClass::kM2m100},
    {"mbart", TokenizerClass::kMbart},      {"t5", TokenizerClass::kT5},
};

TokenizerClass class_of_name(const JsonCursor& name) {
  const std::string text = name.text();
  std::string_view stem = text;
  if (stem.ends_with("Fast")) stem.remove_suffix(4);
  for (const auto& [known, tokenizer_class] : kClasses) {
    if (stem == known) return tokenizer_class;
  }
  name.fail(
      fmt::format("{} is not supported; supported are the tokenizers of BERT, DistilBERT, ELECTRA, MPNet, RoBERTa, "
                  "XLM-R, ALBERT, Marian, M2M-100, mBART, NLLB and T5, and PreTrainedTokenizerFast",
                  text));
}

std::optional<TokenizerClass> class_of_model(const FolderFiles& files, std::optional<JsonCursor> config) {
  if (config) {
    if (const auto name = config->present("tokenizer_class")) return class_of_name(*name);
  }
  if (!files.has(kConfigFile)) return std::nullopt;
  const JsonFile model = json_of(files, kConfigFile);
  if (const auto name = model.cursor().present("tokenizer_class")) return class_of_name(*name);
  const auto type = model.cursor().present("model_type");
  if (!type || !type->value().is_string()) return std::nullopt;
  for (const auto& [known, tokenizer_class] : kModelTypes) {
    if (type->text() == known) return tokenizer_class;
  }
  return std::nullopt;
}

// Whether the settings of BERT's normalizer stand beside a tokenizer.json that has it, and no class is named.
bool is_berts(const JsonCursor& config, const JsonCursor& tokenizer) {
  const auto normalizer = tokenizer.present("normalizer");
  if (!normalizer || (*normalizer)["type"].text() != "BertNormalizer") return false;
  return config.find("do_lower_case") || config.find("strip_accents") || config.find("tokenize_chinese_chars");
}

// "[CLS]", or {"__type": "AddedToken", "content": "[CLS]", ...}; in special_tokens_map.json without the type.
TokenSetting read_token(const JsonCursor& value) {
  if (value.value().is_string()) return {.token = {.content = value.text()}, .plain = true};
  return {
      .token = read_added_token(value), .plain = false, .normalized_given = value.present("normalized").has_value()};
}

void read_named(const JsonCursor& file, bool special, TokenizerSettings& settings) {
  for (size_t i = 0; i < kTokenNames.size(); ++i) {
    const auto value = file.find(kTokenNames[i]);
    if (!value) continue;
    settings.named[i].reset();
    if (value->is_null()) continue;
    settings.named[i] = read_token(*value);
    if (special && !settings.named[i]->plain) settings.named[i]->token = settings.named[i]->as_special();
  }
}

void add_extra(const JsonCursor& value, std::vector<TokenSetting>& extra) {
  constexpr size_t kMostExtra = 4096;
  if (extra.size() == kMostExtra) value.fail(fmt::format("more than {} special tokens are not supported", kMostExtra));
  const TokenSetting token = read_token(value);
  const bool known = std::any_of(extra.begin(), extra.end(),
                                 [&](const TokenSetting& t) { return t.token.content == token.token.content; });
  if (!known) extra.push_back(token);
}

// A list of tokens, or tokens with names of their own.
void read_extra(const JsonCursor& value, std::vector<TokenSetting>& extra) {
  if (value.value().is_object()) {
    for (const auto& member : value.object()) add_extra(value[member.key()], extra);
    return;
  }
  for (size_t i = 0; i < value.array().size(); ++i) add_extra(value.item(i), extra);
}

// extra_special_tokens or, as it was called before, additional_special_tokens; and names that end with "_token".
void read_all_extra(const JsonCursor& file, std::vector<TokenSetting>& extra) {
  const auto newer = file.present("extra_special_tokens"), older = file.present("additional_special_tokens");
  const auto is_empty = [](const JsonCursor& c) {
    return (c.value().is_array() && c.value().get_array().empty()) ||
           (c.value().is_object() && c.value().get_object().empty());
  };
  if (newer && !is_empty(*newer)) {
    read_extra(*newer, extra);
  } else if (older) {
    read_extra(*older, extra);
  }
  for (const auto& [key, value] : file.object()) {
    const std::string_view name = key;
    const bool known = std::find(kTokenNames.begin(), kTokenNames.end(), name) != kTokenNames.end();
    if (!known && name.ends_with("_token") && value.is_string()) add_extra(file[name], extra);
  }
}

// {"[NEW]": 30522}
void read_added_file(const JsonCursor& file, TokenizerSettings& settings) {
  std::set<std::string_view> special;
  for (const auto& named : settings.named) {
    if (named) special.insert(named->token.content);
  }
  for (const TokenSetting& extra : settings.extra) special.insert(extra.token.content);
  for (const auto& member : file.object()) {
    const bool is_special = special.count(std::string_view(member.key())) > 0;
    settings.added[file[member.key()].integer(0, 1 << 24)] = {
        .content = std::string(member.key()), .normalized = !is_special, .special = is_special};
  }
}

std::map<int64_t, AddedToken> read_added_decoder(const JsonCursor& decoder) {
  std::map<int64_t, AddedToken> added;
  for (const auto& member : decoder.object()) {
    const std::string_view key = member.key();
    int64_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0)
      decoder.fail(fmt::format("'{}' is not an id", key));
    added[id] = read_added_token(decoder[key]);
  }
  return added;
}

void read_limit(const JsonCursor& config, TokenizerSettings& settings) {
  auto length = config.present("model_max_length");
  if (!length && !config.find("model_max_length")) length = config.present("max_len");
  if (!length) return;
  const auto& value = length->value();
  const double limit = value.is_number() ? value.to_number<double>() : 0;
  if (!(limit >= 2)) length->fail(boost::json::serialize(value) + " is no number that leaves room for [CLS] and [SEP]");
  // `transformers` writes 1e30 for "no limit".
  if (limit <= 1 << 20) settings.max_length = static_cast<int32_t>(limit);
}

void read_flags(const JsonCursor& config, TokenizerSettings& settings) {
  const auto flag = [&](const char* name, bool& into) {
    if (const auto member = config.find(name)) into = member->flag();
  };
  flag("split_special_tokens", settings.split_special_tokens);
  flag("do_lower_case", settings.do_lower_case);
  flag("tokenize_chinese_chars", settings.tokenize_chinese_chars);
  flag("keep_accents", settings.keep_accents);
  flag("trim_offsets", settings.trim_offsets);
  flag("legacy_behaviour", settings.legacy_behaviour);
  flag("separate_vocabs", settings.separate_vocabularies);
  if (const auto codes = config.present("language_codes")) settings.language_codes = codes->text();
  if (const auto language = config.present("src_lang")) settings.source_language = language->text();
  if (const auto language = config.present("tgt_lang")) settings.target_language = language->text();
  if (const auto extra = config.present("extra_ids")) settings.extra_ids = extra->integer(0, 4096);
  if (const auto strip = config.present("strip_accents")) settings.strip_accents = strip->flag();
  if (const auto space = config.present("add_prefix_space")) settings.add_prefix_space = space->flag();
  if (const auto side = config.find("truncation_side")) {
    settings.truncation_side = side->choice({"left", "right"}) == "left" ? Side::kLeft : Side::kRight;
  }
}

// The class of a folder without tokenizer.json that names none, by its files.
TokenizerClass class_of_files(const FolderFiles& files) {
  if (files.has(kVocabFile)) return TokenizerClass::kBert;
  if (files.has(kSourcePiecesFile)) return TokenizerClass::kMarian;
  if (files.has(kBpePiecesFile) && files.has(kVocabularyFile)) return TokenizerClass::kM2m100;
  if (files.has(kPiecesFile)) return TokenizerClass::kT5;
  throw DataError(fmt::format("{}: tokenizer_class is missing, so that what {} means is not known",
                              files.path(kTokenizerConfigFile).string(), kBpePiecesFile));
}

TokenizerClass class_of_folder(const FolderFiles& files, const std::optional<TokenizerClass>& named,
                               const JsonFile* tokenizer) {
  const TokenizerClass found = named.value_or(TokenizerClass::kFile);
  if (tokenizer == nullptr) return found == TokenizerClass::kFile ? class_of_files(files) : found;
  // A converted tokenizer stands for the pieces that these classes would read.
  const bool converted = (found == TokenizerClass::kMarian && !files.has(kSourcePiecesFile)) ||
                         (found == TokenizerClass::kM2m100 && !files.has(kBpePiecesFile));
  return converted ? TokenizerClass::kFile : found;
}

// The names that a class has of its own, which the files may change.
void set_own_names(TokenizerSettings& settings) {
  const auto set = [&](NamedToken name, const char* text) {
    settings.named[static_cast<size_t>(name)] = TokenSetting{{.content = text}, true};
  };
  const TokenizerClass own = settings.tokenizer_class;
  if (own == TokenizerClass::kFile) return;
  if (own == TokenizerClass::kBert) {
    for (const auto& [name, text] : {std::pair(NamedToken::kUnk, "[UNK]"),
                                     {NamedToken::kSep, "[SEP]"},
                                     {NamedToken::kPad, "[PAD]"},
                                     {NamedToken::kCls, "[CLS]"},
                                     {NamedToken::kMask, "[MASK]"}}) {
      set(name, text);
    }
    return;
  }
  const bool albert = own == TokenizerClass::kAlbert;
  const char* cls = albert ? "[CLS]" : "<s>";
  const char* sep = albert ? "[SEP]" : "</s>";
  const char* unk = own == TokenizerClass::kMpnet ? "[UNK]" : "<unk>";
  const char* texts[] = {cls, sep, unk, sep, "<pad>", cls, albert ? "[MASK]" : "<mask>"};
  for (size_t i = 0; i < std::size(texts); ++i) set(static_cast<NamedToken>(i), texts[i]);
  if (!is_translation(own)) return;
  const auto drop = [&](std::initializer_list<NamedToken> names) {
    for (const NamedToken name : names) settings.named[static_cast<size_t>(name)].reset();
  };
  if (own == TokenizerClass::kMarian || own == TokenizerClass::kT5) {
    drop({NamedToken::kBos, NamedToken::kSep, NamedToken::kCls, NamedToken::kMask});
  }
  if (own == TokenizerClass::kM2m100) drop({NamedToken::kCls, NamedToken::kMask});
  if (own == TokenizerClass::kMbart50) drop({NamedToken::kBos});
}

boost::json::value parsed(std::string_view text, const std::string& path) {
  try {
    boost::json::value value = parse_file_json(text);
    if (value.is_object()) return value;
  } catch (const DataError& error) { throw DataError(path + ": " + error.what()); }
  throw DataError(path + ": not a JSON object");
}

}  // namespace

JsonFile::JsonFile(const fs::path& path, std::string text)
    : path_(path.string()), text_(std::move(text)), value_(parsed(text_, path_)) {}

JsonFile json_of(const FolderFiles& files, const char* name) { return {files.path(name), files.text(name)}; }

AddedToken TokenSetting::as_special() const {
  AddedToken result = token;
  result.special = true;
  if (!normalized_given) result.normalized = false;
  return result;
}

TokenizerSettings read_settings(const FolderFiles& files, const JsonFile* tokenizer) {
  TokenizerSettings settings;
  std::optional<JsonFile> file;
  std::optional<JsonCursor> config;
  if (files.has(kTokenizerConfigFile)) config = file.emplace(json_of(files, kTokenizerConfigFile)).cursor();
  const auto found = class_of_model(files, config);
  settings.tokenizer_class = class_of_folder(files, found, tokenizer);
  if (!found && config && tokenizer != nullptr && is_berts(*config, tokenizer->cursor())) {
    settings.tokenizer_class = TokenizerClass::kBert;
  }
  set_own_names(settings);
  const auto own_names = settings.named;
  bool decoded = false;
  if (config) {
    read_named(*config, false, settings);
    read_all_extra(*config, settings.extra);
    read_limit(*config, settings);
    read_flags(*config, settings);
    if (const auto decoder = config->find("added_tokens_decoder")) {
      decoded = true;
      settings.added = read_added_decoder(*decoder);
    }
  }
  if (!decoded) {
    if (files.has(kSpecialTokensFile)) {
      const JsonFile map = json_of(files, kSpecialTokensFile);
      read_named(map.cursor(), true, settings);
      read_all_extra(map.cursor(), settings.extra);
    }
    if (files.has(kAddedTokensFile)) {
      const JsonFile added = json_of(files, kAddedTokensFile);
      read_added_file(added.cursor(), settings);
    }
    if (tokenizer != nullptr) {
      if (const auto tokens = tokenizer->cursor().present("added_tokens")) {
        for (auto& [id, token] : read_added_tokens(*tokens)) settings.added[id] = std::move(token);
      }
    }
  }
  // A name that the files give stands for the added token of that text, with its flags.
  for (size_t i = 0; i < settings.named.size(); ++i) {
    auto& named = settings.named[i];
    if (!named || (own_names[i] && named->plain && own_names[i]->token.content == named->token.content)) continue;
    for (const auto& [id, token] : settings.added) {
      if (token.content == named->token.content) *named = {.token = token, .plain = false, .normalized_given = true};
    }
  }
  return settings;
}

const std::string& name_of(NamedToken which, const TokenizerSettings& settings, const FolderFiles& files) {
  const auto& named = settings.named[static_cast<size_t>(which)];
  if (named) return named->token.content;
  throw DataError(fmt::format("{}: {} is missing", files.path(kTokenizerConfigFile).string(),
                              kTokenNames[static_cast<size_t>(which)]));
}

}  // namespace qing::nn::text
