// Names and values of tables without regard to blanks around them and to capital letters.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace qing::nn {

/// The text without the spaces, tabs and line breaks before and after it.
inline std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

/// The text with small letters for the capitals A to Z.
inline std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

}  // namespace qing::nn
