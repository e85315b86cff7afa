// The tokens by which a translation model knows languages.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qing::nn {

/// Immutable; thread-safe.
struct LanguageTokens {
  enum class Use {
    kNone,    ///< the tokenizer's class has no tokens of languages
    kTarget,  ///< the target's stands in front of the source: ">>fra<<", as in Marian
    /// the source's stands in front of the source or behind it, and the target's is the first token of the translation,
    /// as in M2M-100, NLLB and mBART
    kBoth,
  };
  Use use = Use::kNone;
  bool source_last = false;  ///< behind the source's end token, as in mBART of 25 languages
  std::vector<std::pair<std::string, int32_t>> tokens = {};  ///< languages as users name them, with the tokens' ids
  /// The languages of tokenizer_config.json, or the class's own. Empty: none.
  std::string source = {}, target = {};

  /// -1 for a language without a token.
  int32_t find(std::string_view language) const;
  /// "af, am, ar"
  std::string names() const;
};

/// Those of the tokenizer in a folder, which is read for them. Errors of Tokenizer::load().
LanguageTokens read_language_tokens(const std::filesystem::path& folder);

}  // namespace qing::nn
