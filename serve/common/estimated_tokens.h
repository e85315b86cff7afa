// What a text costs before it is tokenized.
#pragma once

#include <cstddef>
#include <string_view>

namespace qing::serve {

/// About the tokens of a text, as queues count them. Three bytes are one Chinese character, and fewer than an English
/// token has.
constexpr size_t estimated_tokens(std::string_view text) { return text.size() / 3 + 2; }

}  // namespace qing::serve
