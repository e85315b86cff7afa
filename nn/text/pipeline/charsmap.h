// SentencePiece's precompiled character map: a double array in the layout of Darts-clone
// (https://github.com/s-yata/darts-clone) whose values point into a block of replacements, each ended by a zero byte.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/text/pipeline/aligned_text.h>

namespace qing::nn::text {

/// Immutable; thread-safe.
class Charsmap {
 public:
  /// Takes the bytes of `precompiled_charsmap`. DataError when they are malformed.
  explicit Charsmap(std::string_view bytes);

  /// Replaces grapheme clusters of less than 6 bytes, and the single characters of longer ones, as `tokenizers` does.
  /// The whole cluster gets the replacement of the shortest beginning that the table has.
  void apply(Chars& text, std::vector<Change>& changes, Chars& scratch) const;

  /// The replacement of the longest beginning of `text`, valid UTF-8, that the table has, as SentencePiece takes it.
  /// `length` becomes the bytes of that beginning.
  std::optional<std::string_view> longest(std::string_view text, size_t& length) const;

 private:
  // Calls found(bytes, replacement) for each beginning that the table has, the shortest first, until it returns false.
  template <class Found> void walk(std::string_view text, const Found& found) const;
  std::optional<std::string_view> replacement(std::string_view key) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
  std::vector<std::optional<std::string>> ascii_;  // of each character of ASCII alone
};

}  // namespace qing::nn::text
