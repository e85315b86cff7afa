#include <qing/nn/models/sentence_ends.h>

#include <algorithm>
#include <optional>
#include <string>

#include <qing/nn/utf8.h>

namespace qing::nn {
namespace {

constexpr std::u32string_view kAlwaysEnds = U"。！？；…";
constexpr std::u32string_view kEndsBeforeSpace = U".!?";
constexpr std::u32string_view kClosing = U"\"')]}”’」』）》】";

bool has(std::u32string_view set, char32_t c) { return set.find(c) != set.npos; }

// CJK symbols, kana, ideographs and full-width forms.
bool is_wide(char32_t c) {
  return (c >= 0x2E80 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE4F) ||
         (c >= 0xFF00 && c <= 0xFFEF) || (c >= 0x20000 && c <= 0x3FFFF);
}

std::optional<char32_t> last_character(std::string_view text) {
  if (text.empty()) return std::nullopt;
  size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) --at;
  return decode_utf8(text, at);
}

// The last end of a sentence, and the last white space, in the bytes up to `most`.
struct Places {
  size_t sentence = 0, space = 0;
};

Places places_in(std::string_view text, size_t most) {
  Places found;
  bool ended = false, at_space = false;  // an end of a sentence before here, which counts now or before white space
  for (size_t at = 0; at < most;) {
    const size_t begin = at;
    const std::optional<char32_t> c = decode_utf8(text, at);
    if (!c) break;
    if (at > most) break;
    const bool space = *c == U' ' || *c == U'\t' || *c == U'\u3000';
    if (space) found.space = begin;
    if (space && ended && at_space) found.sentence = begin;
    if (has(kAlwaysEnds, *c)) {
      ended = true, at_space = false;
    } else if (has(kEndsBeforeSpace, *c)) {
      ended = at_space = true;
    } else if (!(ended && has(kClosing, *c))) {
      ended = false;
    }
    if (ended && !at_space) found.sentence = at;
  }
  return found;
}

}  // namespace

bool is_ascii_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v'; }

size_t place_to_cut(std::string_view text, std::span<const std::pair<uint32_t, uint32_t>> offsets, size_t most) {
  size_t bytes = 0, tokens = 0;
  for (const auto& [begin, end] : offsets) {
    if (begin == end) continue;
    if (++tokens > most) break;
    bytes = end;
  }
  bytes = std::min(bytes, text.size());
  while (bytes > 0 && bytes < text.size() && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) --bytes;
  const Places found = places_in(text, bytes);
  return found.sentence > 0 ? found.sentence : found.space > 0 ? found.space : bytes;
}

std::pair<size_t, size_t> without_white_space(std::string_view text, size_t cut) {
  size_t end = cut, begin = cut;
  while (end > 0 && is_ascii_space(text[end - 1])) --end;
  while (begin < text.size() && is_ascii_space(text[begin])) ++begin;
  return {end, begin};
}

bool are_spaced(std::string_view before, std::string_view after) {
  const std::optional<char32_t> last = last_character(before);
  size_t at = 0;
  const std::optional<char32_t> first = after.empty() ? std::nullopt : decode_utf8(after, at);
  return last && first && !is_wide(*last) && !is_wide(*first) && *last != U' ' && *last != U'\n';
}

}  // namespace qing::nn
