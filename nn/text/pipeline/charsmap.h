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
  /// Takes the base64 of `precompiled_charsmap`. DataError when it is malformed.
  explicit Charsmap(std::string_view base64);

  /// Replaces grapheme clusters of less than 6 bytes, and the single characters of longer ones, as `tokenizers` does.
  /// The whole cluster gets the replacement of the shortest beginning that the table has.
  void apply(Chars& text, std::vector<Change>& changes, Chars& scratch) const;

 private:
  std::optional<std::string_view> replacement(std::string_view key) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
  std::vector<std::optional<std::string_view>> ascii_;  // of each character of ASCII alone
};

}  // namespace qing::nn::text
