// The last stages of a tokenizer: cutting to a length, and special tokens around the sequences.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/nn/text/pipeline/encoding.h>

namespace qing::nn::text {

/// The tokens of one text.
struct TokenSequence {
  std::vector<int32_t> ids;
  std::vector<std::pair<uint32_t, uint32_t>> offsets;  ///< bytes
  /// For each token the number of white space characters at its beginning and end. Empty unless offsets are trimmed.
  std::vector<std::pair<uint32_t, uint32_t>> spaces;

  void clear();
};

struct PostProcessing {
  /// A part of the result: a sequence, or special tokens.
  struct Part {
    int sequence = -1;         ///< 0 and 1 for the two texts; -1 for special tokens
    std::vector<int32_t> ids;  ///< the special tokens
    int32_t type = 0;
  };
  std::vector<Part> single{{0, {}, 0}}, pair{{0, {}, 0}, {1, {}, 1}};
  /// Whether overflowing windows have the types of the parts. Most processors of `tokenizers` give them 0 and 1, by
  /// text.
  bool types_of_overflow = false;
  /// One entry for each stage that trims white space off offsets. It is true if a space was put in front of the text.
  std::vector<bool> trims = {};

  size_t added(bool is_pair) const;  ///< special tokens
};

/// Takes white space off the offsets of tokens [first, ...), in `text`. `add_prefix_space` says that a single space in
/// front of the first token was put there.
void trim_offsets(std::string_view text, bool add_prefix_space, size_t first, size_t end, TokenSequence& tokens);

/// Tokens [begin, end) of a sequence.
struct Window {
  size_t begin, end;
  bool overflow = false;  ///< not the first
};

/// Cuts sequences of these lengths. Returns all windows of each, the kept one first. `room` is the number of tokens
/// beside the special ones. ValueError, as in `tokenizers`, when the text that is to be cut is missing or too short.
std::pair<std::vector<Window>, std::vector<Window>> truncate(size_t first, std::optional<size_t> second, size_t room,
                                                             const Truncation& truncation);

}  // namespace qing::nn::text
