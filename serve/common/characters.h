// Classes of ASCII characters, whatever the locale is.
#pragma once

#include <algorithm>
#include <string_view>

namespace qing::serve {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_letter(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); }
constexpr bool is_alphanumeric(char c) { return is_letter(c) || is_digit(c); }
constexpr bool is_lower_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }
constexpr bool is_hex(char c) { return is_lower_hex(c) || (c >= 'A' && c <= 'F'); }
constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }
/// A control character other than the tab.
constexpr bool is_control(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }
/// A tchar (RFC 9110, 5.6.2).
constexpr bool is_token(char c) {
  return is_alphanumeric(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

/// Whether each character is of the class or among `others`. True for an empty text.
constexpr bool has_only(std::string_view text, bool (*of_class)(char), std::string_view others = {}) {
  return std::ranges::all_of(text, [&](char c) { return of_class(c) || others.find(c) != std::string_view::npos; });
}

}  // namespace qing::serve
