// The text of WordPiece tokens.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <qing/nn/text/tokenizer.h>

namespace qing::nn {

/// The text that `tokenizers` decodes the ids to: pieces with "##" join the word before them, other tokens are joined
/// by spaces, and the space before a mark such as "," goes. Ids outside the vocabulary are left out, and the five
/// special tokens if `skip_special_tokens`. Thread-safe.
std::string decode_wordpiece(const Tokenizer& tokenizer, std::span<const int32_t> ids, bool skip_special_tokens);

}  // namespace qing::nn
