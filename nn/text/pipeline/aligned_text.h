// A text on its way through the stages of a tokenizer. Every part of it knows the bytes of the original text that it
// came from. The rules are those of NormalizedString in `tokenizers`, because offsets have to be equal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qing::nn::text {

/// Bytes [begin, end) of the original text.
struct Origin {
  uint32_t begin, end;
};

/// A character with its origin.
struct Char {
  char32_t value;
  Origin origin;
};
using Chars = std::vector<Char>;

/// A character of a new text. `change` is 0 if it replaces the next old character, 1 if it is inserted, and -n if it
/// replaces the next old character and the n after that.
struct Change {
  char32_t value;
  int32_t change;
};

/// Makes the new text. A character has the origin of the old one that it replaces. An inserted one has the origin of
/// the old one before it. `removed_first` is the number of old characters that are removed in front.
void apply_changes(const std::vector<Change>& changes, Chars& text, Chars& scratch, size_t removed_first = 0);

/// UTF-8 with the origin of every byte.
struct AlignedText {
  std::string bytes;
  std::vector<Origin> origins;

  void clear();
  void append(char32_t c, Origin origin);
  void append(std::string_view piece, Origin origin);
  void append(const AlignedText& text, uint32_t begin, uint32_t end);
  /// Text that lies at byte `base` of the original; valid UTF-8.
  void append_original(std::string_view piece, uint32_t base);
  uint32_t size() const { return static_cast<uint32_t>(bytes.size()); }
  std::string_view view(uint32_t begin, uint32_t end) const {
    return std::string_view(bytes).substr(begin, end - begin);
  }
};

/// A part of an AlignedText: a future word, or an added token.
struct Piece {
  uint32_t begin, end;
  int32_t id = -1;  ///< of the added token
};

struct PieceText {
  AlignedText text;
  std::vector<Piece> pieces;  ///< none is empty

  void clear();
};

/// The code point at text[at], valid UTF-8; moves `at` behind it.
inline char32_t next_character(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[at + i])); };
  const char32_t lead = byte(0);
  if (lead < 0x80) {
    at += 1;
    return lead;
  }
  if (lead < 0xE0) {
    const char32_t c = (lead & 0x1F) << 6 | (byte(1) & 0x3F);
    at += 2;
    return c;
  }
  if (lead < 0xF0) {
    const char32_t c = (lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    at += 3;
    return c;
  }
  const char32_t c = (lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
  at += 4;
  return c;
}

/// Where the code point in front of text[at] begins; at > 0.
inline size_t previous_begin(std::string_view text, size_t at) {
  do --at;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  return at;
}

}  // namespace qing::nn::text
