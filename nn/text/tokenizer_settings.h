// What the files beside a vocabulary say about a tokenizer.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/nn/text/folder_files.h>
#include <qing/nn/text/pipeline/json_cursor.h>
#include <qing/nn/text/pipeline/pipeline.h>

namespace qing::nn::text {

/// The tokens that have a name, in the order in which `transformers` adds them.
enum class NamedToken { kBos, kEos, kUnk, kSep, kPad, kCls, kMask };
inline constexpr std::array<std::string_view, 7> kTokenNames = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                                "pad_token", "cls_token", "mask_token"};

/// The classes of `transformers` that build their stages themselves, and the one that takes tokenizer.json as it is.
enum class TokenizerClass {
  kFile,
  kBert,
  kMpnet,
  kRoberta,
  kXlmRoberta,
  kAlbert,
  // Of translation models (translation_tokenizers.h).
  kMarian,
  kM2m100,
  kMbart,
  kMbart50,
  kNllb,
  kT5,
};
constexpr bool is_translation(TokenizerClass c) { return c >= TokenizerClass::kMarian; }

/// A JSON file, kept for the cursors into it.
class JsonFile {
 public:
  /// `path` is named in errors. DataError when the text is not a JSON object.
  JsonFile(const std::filesystem::path& path, std::string text);
  JsonCursor cursor() const { return JsonCursor(value_, path_); }
  const std::string& text() const { return text_; }

 private:
  std::string path_, text_;
  boost::json::value value_;
};

/// One of the files. DataError as of JsonFile.
JsonFile json_of(const FolderFiles& files, const char* name);

/// A token as a setting gives it: a plain text, or a text with flags.
struct TokenSetting {
  AddedToken token;
  bool plain = false;
  bool normalized_given = false;  ///< else a special token is not normalised

  /// The token when `special` is set.
  AddedToken as_special() const;
};

struct TokenizerSettings {
  TokenizerClass tokenizer_class = TokenizerClass::kFile;
  std::array<std::optional<TokenSetting>, kTokenNames.size()> named;
  std::vector<TokenSetting> extra;      ///< other special tokens
  std::map<int64_t, AddedToken> added;  ///< by the id that orders them
  std::optional<int32_t> max_length;
  std::optional<Side> truncation_side;
  bool split_special_tokens = false;
  bool do_lower_case = true, tokenize_chinese_chars = true, keep_accents = false, trim_offsets = true;
  std::optional<bool> strip_accents, add_prefix_space;
  // Of translation models.
  std::optional<std::string> source_language, target_language;
  std::string language_codes = "m2m100";  ///< which list of languages M2M100Tokenizer has
  bool legacy_behaviour = false, separate_vocabularies = false;
  int64_t extra_ids = 100;  ///< T5's tokens `<extra_id_0>` and so on
};

/// The settings of a folder. `tokenizer` is its tokenizer.json, null without one.
TokenizerSettings read_settings(const FolderFiles& files, const JsonFile* tokenizer);

/// The text of a token that the class needs. DataError when the files take it away, as `"unk_token": null` does.
const std::string& name_of(NamedToken which, const TokenizerSettings& settings, const FolderFiles& files);

}  // namespace qing::nn::text
