// Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qing::nn {

/// Decodes the code point at text[position], which must exist, and moves position past it. Returns nothing and leaves
/// position unchanged when the bytes there are not UTF-8.
std::optional<char32_t> decode_utf8(std::string_view text, size_t& position);
/// The first byte that is not UTF-8, or nothing when all is.
std::optional<size_t> find_invalid_utf8(std::string_view text);
/// The code points of a text that is valid UTF-8.
size_t count_characters(std::string_view text);
/// The text without the byte order marks (U+FEFF) in front of it. Programs that save a file again may add a second.
std::string_view without_byte_order_mark(std::string_view text);
void append_utf8(std::string& out, char32_t c);  ///< c is a scalar value

}  // namespace qing::nn
