#include "shown_text.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <qing/nn/text/normalizer.h>

namespace qing::serve {

std::string shown_text(std::string text, size_t most) {
  const bool cut = text.size() > most;
  if (cut) {
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
    text.resize(most);
  }
  std::ranges::replace_if(
      text, [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  return nn::visible(text) + (cut ? "..." : "");
}

std::string without_place(std::string text, const std::filesystem::path& place) {
  std::string name = place.string();
  if (name.ends_with('/')) name.pop_back();
  if (name.empty()) return text;
  for (const auto& [from, to] : {std::pair(name + ": ", ""), std::pair(name + "/", ""), std::pair(name, "FILE")}) {
    if (from == name && !place.has_parent_path()) continue;  // a name such as "." or "s" stands in words, too
    for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += std::string_view(to).size()) {
      text.replace(at, from.size(), to);
    }
  }
  return text;
}

}  // namespace qing::serve
