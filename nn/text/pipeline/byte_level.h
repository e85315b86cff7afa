// Byte-level text of GPT-2 (Radford et al. 2019): each byte of UTF-8 is shown as a printable character, and words are
// cut by one regular expression.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace qing::nn::text {

/// The character that stands for a byte, below U+0144.
char32_t byte_character(unsigned char byte);
/// The byte that a character stands for.
std::optional<unsigned char> character_byte(char32_t c);
/// The same character as UTF-8, one byte or two.
std::string_view byte_text(unsigned char byte);

/// The expression that byte_level_word_end() follows, as files spell it.
inline constexpr std::string_view kByteLevelExpression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// The end of the word that begins at text[begin], valid UTF-8; begin < text.size().
size_t byte_level_word_end(std::string_view text, size_t begin);

}  // namespace qing::nn::text
