// Blanks around names and values of tables.
#pragma once

#include <string_view>

namespace qing::nn {

/// The text without the spaces, tabs and line breaks before and after it.
inline std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

}  // namespace qing::nn
