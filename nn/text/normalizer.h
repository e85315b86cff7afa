// The first half of BERT's tokenizer: cleanup and splitting into words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qing::nn {

/// A normalised word, the input of WordPiece.
struct Word {
  std::string text;  ///< normalised, UTF-8
  /// The byte in `text` where each character begins, and one more entry for the end.
  std::vector<uint32_t> starts;
  /// The byte range of the original text that each character came from.
  std::vector<std::pair<uint32_t, uint32_t>> origins;

  size_t characters() const { return origins.size(); }
};

struct TokenizerOptions;

/// Removes control characters, sets Chinese characters apart, strips accents and lowers case (each as the options say),
/// splits at white space and around punctuation. DataError at the first byte that is not UTF-8. Linear in the text's
/// length. `base` is added to every origin.
std::vector<Word> split_words(std::string_view text, const TokenizerOptions& options, uint32_t base = 0);

/// Whether the text, valid UTF-8, has no character that a reader sees: white space, what the cleanup removes,
/// nonspacing marks without a letter, and Unicode's Default_Ignorable_Code_Point.
bool is_blank(std::string_view text);

/// The text, valid UTF-8, with every invisible character but the space as <U+FEFF>, for messages.
std::string visible(std::string_view text);

}  // namespace qing::nn
