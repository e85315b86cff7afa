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

size_t padded_length(const Padding& padding, std::span<const Encoding> encodings) {
  size_t length = padding.length.value_or(0);
  if (!padding.length) {
    for (const Encoding& encoding : encodings) length = std::max(length, encoding.ids.size());
  }
  const size_t over = padding.multiple > 0 ? length % padding.multiple : 0;
  return over > 0 ? length + padding.multiple - over : length;
}

std::vector<int32_t> pad(Encoding& encoding, size_t length, const Padding& padding) {
  std::vector<int32_t> mask(encoding.ids.size(), 1);
  if (encoding.ids.size() >= length) return mask;
  const size_t missing = length - encoding.ids.size();
  const auto fill = [&](auto& values, auto value) {
    values.insert(padding.side == Side::kLeft ? values.begin() : values.end(), missing, value);
  };
  fill(encoding.ids, padding.id);
  fill(encoding.offsets, std::pair<uint32_t, uint32_t>(0, 0));
  fill(encoding.type_ids, padding.type_id);
  fill(mask, 0);
  return mask;
}

}  // namespace qing::nn
