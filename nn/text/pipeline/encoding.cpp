#include <qing/nn/text/pipeline/encoding.h>

#include <algorithm>

namespace qing::nn {

std::vector<std::pair<uint32_t, uint32_t>> character_offsets(std::string_view text,
                                                             std::span<const std::pair<uint32_t, uint32_t>> offsets) {
  // The number of each byte's character; the end's is the number of characters.
  std::vector<uint32_t> characters(text.size() + 1);
  uint32_t count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    count += (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80 ? 1 : 0;
    characters[i] = count - 1;
  }
  characters[text.size()] = count;
  std::vector<std::pair<uint32_t, uint32_t>> result;
  result.reserve(offsets.size());
  const auto size = static_cast<uint32_t>(text.size());
  for (const auto& [begin, end] : offsets) {
    result.emplace_back(characters[std::min(begin, size)], characters[std::min(end, size)]);
  }
  return result;
}

}  // namespace qing::nn
