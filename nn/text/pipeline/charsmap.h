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
  /// Of the base64 of `precompiled_charsmap`. DataError that says what is wrong.
  explicit Charsmap(std::string_view base64);

  /// Replaces grapheme clusters of less than 6 bytes, and characters of others, as `tokenizers` does: what stands in
  /// the table for the shortest beginning of a cluster replaces the whole cluster.
  void apply(Chars& text, std::vector<Change>& changes, Chars& scratch) const;

 private:
  std::optional<std::string_view> replacement(std::string_view key) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
  std::vector<std::optional<std::string_view>> ascii_;  // of each character of ASCII alone
};

}  // namespace qing::nn::text
