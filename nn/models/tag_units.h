// A text as a tagger sees it: words with labels, and the windows of tokens in which they are computed.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <qing/nn/text/tokenizer.h>

namespace qing::nn {

/// A word, or a part of it that has a label of its own: the bytes [begin, end) of the text.
struct TagUnit {
  std::uint32_t begin, end;
};

struct TagWindow {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> rows;  ///< the token with which each unit begins, whose output is the unit's
};

struct TagInput {
  std::vector<TagWindow> windows;  ///< one, or several for a text of more tokens than the model takes
  std::vector<TagUnit> units;      ///< of all windows, in order
};

/// Cuts a text into units: at white space, and on both sides of a punctuation mark and of a Chinese character, if a
/// token begins there. Texts that are cut into words by spaces and raw texts therefore give the same units. DataError
/// for invalid UTF-8.
TagInput tag_input(const Tokenizer& tokenizer, std::string_view text);

/// Whether a space belongs between two words when they are joined to a text, as people write: none between two Chinese
/// characters, before a closing mark such as a full stop, an apostrophe with letters, or after an opening bracket.
bool needs_space(std::string_view before, std::string_view after);

}  // namespace qing::nn
