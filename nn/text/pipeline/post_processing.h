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
  /// White space at both ends of what each token shows, in characters; empty unless it is wanted.
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
  /// Whether overflow has the parts' types too. In `tokenizers` most processors leave it those of its text: 0 and 1.
  bool types_of_overflow = false;
  /// One entry for each time that offsets lose white space; true where a space was put in front of the text.
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

/// How two sequences of these lengths are cut: all windows of each, the kept one first. `room` is what special tokens
/// leave. ValueError where `tokenizers` has an error too: the text that is to be cut is missing or too short.
std::pair<std::vector<Window>, std::vector<Window>> truncate(size_t first, std::optional<size_t> second, size_t room,
                                                             const Truncation& truncation);

}  // namespace qing::nn::text
