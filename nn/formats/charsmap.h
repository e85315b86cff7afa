// SentencePiece's compiled normalisation: which characters of a text are replaced by what.
#pragma once

#include <span>
#include <string>
#include <utility>

namespace qing::nn {

/// A precompiled_charsmap (sentencepiece/src/builder.cc: the size of a trie, a double array of Darts-clone 0.32 from
/// UTF-8 keys to places among the texts, the texts, each ended by a zero byte). `replacements` are sorted by their
/// character and hold each once; none is of U+0000, which the trie cannot hold.
std::string compile_charsmap(std::span<const std::pair<char32_t, std::u32string>> replacements);

}  // namespace qing::nn
