#include <qing/nn/models/tag_units.h>

#include <algorithm>
#include <optional>

#include <qing/nn/text/pipeline/bert_characters.h>
#include <qing/nn/text/pipeline/unicode_properties.h>
#include <qing/nn/utf8.h>

namespace qing::nn {
namespace {

constexpr std::u32string_view kOpeningMarks = U"([{\u201C\u2018\u00AB\uFF08\u300A\u300C\u3010";
constexpr std::u32string_view kClosingMarks =
    U".,;:!?)]}%\u201D\u00BB\u2026\u3002\uFF0C\u3001\uFF1B\uFF1A\uFF01\uFF1F\uFF09\u300B\u300D\u3011";

bool is_space_character(char32_t c) { return text::PropertyTable::get()[c].space(); }

// Whether a unit ends and another begins on both sides of the character.
bool stands_alone(char32_t c) { return text::is_chinese(c) || text::PropertyTable::get()[c].punctuation(); }

char32_t character_at(std::string_view text, size_t at) {
  const std::optional<char32_t> c = at < text.size() ? decode_utf8(text, at) : std::nullopt;
  return c.value_or(U' ');
}

char32_t character_before(std::string_view text, size_t at) {
  if (at == 0) return U' ';
  --at;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return character_at(text, at);
}

bool begins_unit(std::string_view text, size_t at) {
  const char32_t before = character_before(text, at), after = character_at(text, at);
  return is_space_character(before) || stands_alone(before) || stands_alone(after);
}

// The token's bytes without white space in front, which some tokenizers count to the token.
std::uint32_t visible_begin(std::string_view text, std::uint32_t begin, std::uint32_t end) {
  size_t at = begin;
  while (at < end) {
    size_t next = at;
    const std::optional<char32_t> c = decode_utf8(text, next);
    if (!c || !is_space_character(*c)) break;
    at = next;
  }
  return static_cast<std::uint32_t>(std::min<size_t>(at, end));
}

}  // namespace

TagInput tag_input(const Tokenizer& tokenizer, std::string_view text) {
  TagInput input;
  std::uint32_t done = 0;  // bytes before are in units
  for (Encoding& window : tokenizer.windows(text)) {
    TagWindow& made = input.windows.emplace_back();
    bool fresh = true;  // the first token of a window begins a unit
    for (size_t i = 0; i < window.ids.size(); ++i) {
      const auto [first, end] = window.offsets[i];
      const std::uint32_t begin = visible_begin(text, first, end);
      if (begin >= end || begin < done) continue;  // a special token, or what another window has
      if (fresh || begins_unit(text, begin)) {
        made.rows.push_back(static_cast<std::int32_t>(i));
        input.units.push_back({begin, end});
      }
      input.units.back().end = end;
      fresh = false;
      done = end;
    }
    made.ids = std::move(window.ids);
  }
  return input;
}

bool needs_space(std::string_view before, std::string_view after) {
  const char32_t last = character_before(before, before.size()), first = character_at(after, 0);
  if (text::is_chinese(last) && text::is_chinese(first)) return false;
  if (kOpeningMarks.find(last) != kOpeningMarks.npos || kClosingMarks.find(first) != kClosingMarks.npos) return false;
  const bool apostrophe = first == U'\'' || first == U'\u2019';
  return !(apostrophe && text::PropertyTable::get()[character_at(after, first == U'\'' ? 1 : 3)].letter());
}

}  // namespace qing::nn
