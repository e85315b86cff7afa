#include "shown_text.h"

#include <algorithm>

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

}  // namespace qing::serve
