// Where a text may be cut between sentences. Private to nn/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace qing::nn {

bool is_ascii_space(char c);

/// The byte at which a text of too many tokens is cut in two, so that the first part has at most `most` of them: behind
/// the last end of a sentence (. ! ? before white space, 。！？； anywhere, with the quotes behind them), else at the
/// last white space, else between characters. `offsets` are the tokens' ranges of bytes. The text is valid UTF-8.
size_t place_to_cut(std::string_view text, std::span<const std::pair<uint32_t, uint32_t>> offsets, size_t most);

/// Where the part before `cut` ends and the part behind it begins without the white space around the cut.
std::pair<size_t, size_t> without_white_space(std::string_view text, size_t cut);

/// Whether a space belongs between two sentences: not next to Chinese and Japanese characters and punctuation.
bool are_spaced(std::string_view before, std::string_view after);

}  // namespace qing::nn
