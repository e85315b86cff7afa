#include <qing/nn/text/pipeline/aligned_text.h>

#include <algorithm>

#include <qing/nn/utf8.h>

namespace qing::nn::text {

void apply_changes(const std::vector<Change>& changes, Chars& text, Chars& scratch, size_t removed_first) {
  scratch.clear();
  scratch.reserve(changes.size());
  size_t next = removed_first;
  for (const auto& [value, change] : changes) {
    if (change > 0) {
      scratch.push_back({value, next == 0 ? Origin{0, 0} : text[std::min(next, text.size()) - 1].origin});
      continue;
    }
    scratch.push_back({value, text[std::min(next, text.size() - 1)].origin});
    next += 1 + static_cast<size_t>(-change);
  }
  text.swap(scratch);
}

void AlignedText::clear() {
  bytes.clear();
  origins.clear();
}

void AlignedText::append(char32_t c, Origin origin) {
  append_utf8(bytes, c);
  origins.resize(bytes.size(), origin);
}

void AlignedText::append(std::string_view piece, Origin origin) {
  bytes += piece;
  origins.resize(bytes.size(), origin);
}

void AlignedText::append(const AlignedText& text, uint32_t begin, uint32_t end) {
  bytes.append(text.bytes, begin, end - begin);
  origins.insert(origins.end(), text.origins.begin() + begin, text.origins.begin() + end);
}

void AlignedText::append_original(std::string_view piece, uint32_t base) {
  const size_t old = bytes.size();
  bytes += piece;
  origins.resize(bytes.size());
  Origin* to = origins.data() + old;
  for (size_t at = 0; at < piece.size();) {
    const auto lead = static_cast<unsigned char>(piece[at]);
    const uint32_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    const Origin origin{base + static_cast<uint32_t>(at), base + static_cast<uint32_t>(at) + length};
    for (uint32_t i = 0; i < length; ++i) to[at + i] = origin;
    at += length;
  }
}

void PieceText::clear() {
  text.clear();
  pieces.clear();
}

}  // namespace qing::nn::text
