#include <qing/nn/text/pipeline/byte_level.h>

#include <array>
#include <string>

#include <qing/nn/text/pipeline/aligned_text.h>
#include <qing/nn/text/pipeline/unicode_properties.h>
#include <qing/nn/utf8.h>

namespace qing::nn::text {
namespace {

struct Alphabet {
  std::array<char32_t, 256> characters;
  std::array<int16_t, 0x144> bytes;
  std::array<std::string, 256> texts;

  Alphabet() {
    bytes.fill(-1);
    char32_t next = 0x100;  // for the bytes that are no printable character of Latin-1
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      const char32_t c = printable ? static_cast<char32_t>(b) : next++;
      characters[static_cast<size_t>(b)] = c;
      bytes[c] = static_cast<int16_t>(b);
      append_utf8(texts[static_cast<size_t>(b)], c);
    }
  }
  static const Alphabet& get() {
    static const Alphabet alphabet;
    return alphabet;
  }
};

enum class Kind { kSpace, kLetter, kNumber, kOther };

Kind kind_of(char32_t c) {
  if (c < 0x80) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return Kind::kLetter;
    if (c >= '0' && c <= '9') return Kind::kNumber;
    return c == ' ' || (c >= '\t' && c <= '\r') ? Kind::kSpace : Kind::kOther;
  }
  const Properties p = PropertyTable::get()[c];
  return p.letter() ? Kind::kLetter : p.number() ? Kind::kNumber : p.space() ? Kind::kSpace : Kind::kOther;
}

size_t contraction_end(std::string_view text, size_t begin) {
  for (const std::string_view tail : {"s", "t", "re", "ve", "m", "ll", "d"}) {
    if (text.substr(begin + 1).starts_with(tail)) return begin + 1 + tail.size();
  }
  return begin;
}

}  // namespace

char32_t byte_character(unsigned char byte) { return Alphabet::get().characters[byte]; }

std::optional<unsigned char> character_byte(char32_t c) {
  const auto& bytes = Alphabet::get().bytes;
  if (c >= bytes.size() || bytes[c] < 0) return std::nullopt;
  return static_cast<unsigned char>(bytes[c]);
}

std::string_view byte_text(unsigned char byte) { return Alphabet::get().texts[byte]; }

size_t byte_level_word_end(std::string_view text, size_t begin) {
  if (text[begin] == '\'') {
    if (const size_t end = contraction_end(text, begin); end > begin) return end;
  }
  size_t at = begin;
  Kind kind = kind_of(next_character(text, at));
  if (kind == Kind::kSpace) {
    size_t after = at, last = begin;  // `last` is where the last space of the run begins
    bool more = false;
    Kind next = kind;
    while (after < text.size()) {
      size_t behind = after;
      next = kind_of(next_character(text, behind));
      if (next != Kind::kSpace) break;
      last = after;
      after = behind;
      more = true;
    }
    // The last space belongs to what follows, if it is a plain one; else it is a word of its own.
    if (after == text.size()) return after;
    if (more) return last;
    if (text[begin] != ' ') return after;
    kind = next;
    at = after;
    next_character(text, at);
  }
  while (at < text.size()) {
    size_t behind = at;
    if (kind_of(next_character(text, behind)) != kind) break;
    at = behind;
  }
  return at;
}

}  // namespace qing::nn::text
