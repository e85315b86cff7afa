#include <qing/nn/text/normalizer.h>

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>

#include <qing/nn/text/tokenizer_options.h>
#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

struct Character {
  char32_t value;
  uint32_t begin, end;  // bytes of the original text
};

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

// Unicode's White_Space property.
bool is_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

// Removed by the cleanup: control, format and private characters, U+0000 and the replacement character. Tab and line
// breaks are white space.
bool is_removed(char32_t c) {
  if (c < 0x80) return (c < 0x20 || c == 0x7F) && c != '\t' && c != '\n' && c != '\r';
  if (c == 0xFFFD) return true;
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CF || kind == UTF8PROC_CATEGORY_CO;
}

bool is_invisible(char32_t c) {
  if (is_space(c) || is_removed(c)) return true;
  if (c < 0x80) return false;
  return category(c) == UTF8PROC_CATEGORY_MN || utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->ignorable != 0;
}

// The CJK ideographs in the ranges of BERT's original code.
bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

// Punctuation is every ASCII symbol and Unicode's P categories.
bool is_punctuation(char32_t c) {
  if (c < 0x80) {
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
  }
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO;
}

std::vector<Character> clean(std::string_view text, uint32_t base, bool chinese_apart) {
  std::vector<Character> characters;
  characters.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    const auto c = decode_utf8(text, position);
    if (!c) throw DataError("invalid UTF-8 at byte " + std::to_string(base + begin) + "; save the text as UTF-8");
    if (is_removed(*c)) continue;
    const Character character{*c, base + static_cast<uint32_t>(begin), base + static_cast<uint32_t>(position)};
    if (chinese_apart && is_chinese(*c)) {
      characters.push_back({' ', character.begin, character.begin});
      characters.push_back(character);
      characters.push_back({' ', character.end, character.end});
    } else {
      characters.push_back(character);
    }
  }
  return characters;
}

// Canonical decomposition without the nonspacing marks: what remains of "é" is "e".
std::vector<Character> strip_accents(const std::vector<Character>& characters) {
  std::vector<Character> result;
  result.reserve(characters.size());
  for (const Character& character : characters) {
    if (character.value < 0x80) {
      result.push_back(character);
      continue;
    }
    utf8proc_int32_t parts[8];  // the longest canonical decomposition has 4
    int boundary = 0;
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(character.value), parts, 8,
                                               UTF8PROC_DECOMPOSE, &boundary);
    for (utf8proc_ssize_t i = 0; i < std::min<utf8proc_ssize_t>(count, 8); ++i) {
      result.push_back({static_cast<char32_t>(parts[i]), character.begin, character.end});
    }
  }
  // Canonical order: runs of combining characters sorted by class, stably.
  const auto order = [](const Character& c) {
    return c.value < 0x300 ? 0 : utf8proc_get_property(static_cast<utf8proc_int32_t>(c.value))->combining_class;
  };
  for (auto it = result.begin(); it != result.end();) {
    const auto run_end = std::find_if(it, result.end(), [&](const Character& c) { return order(c) == 0; });
    if (run_end - it > 1) {
      std::stable_sort(it, run_end, [&](const Character& a, const Character& b) { return order(a) < order(b); });
    }
    it = run_end == result.end() ? run_end : run_end + 1;
  }
  std::erase_if(result,
                [](const Character& c) { return c.value >= 0x300 && category(c.value) == UTF8PROC_CATEGORY_MN; });
  return result;
}

void lower(std::vector<Character>& characters) {
  std::vector<Character> result;
  result.reserve(characters.size());
  for (Character c : characters) {
    if (c.value < 0x80) {
      if (c.value >= 'A' && c.value <= 'Z') c.value += 'a' - 'A';
      result.push_back(c);
    } else if (c.value == 0x130) {  // the only character whose lower case is two
      result.push_back({'i', c.begin, c.end});
      result.push_back({0x307, c.begin, c.end});
    } else {
      c.value = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c.value)));
      result.push_back(c);
    }
  }
  characters = std::move(result);
}

void append(Word& word, const Character& c) {
  if (word.starts.empty()) word.starts.push_back(0);
  append_utf8(word.text, c.value);
  word.starts.push_back(static_cast<uint32_t>(word.text.size()));
  word.origins.emplace_back(c.begin, c.end);
}

}  // namespace

bool is_blank(std::string_view text) {
  for (size_t position = 0; position < text.size();) {
    const auto c = decode_utf8(text, position);
    if (!c || !is_invisible(*c)) return false;
  }
  return true;
}

std::string visible(std::string_view text) {
  std::string shown;
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    const auto c = decode_utf8(text, position);
    if (!c) break;
    const bool mark = *c >= 0x80 && category(*c) == UTF8PROC_CATEGORY_MN;  // drawn on the letter before it
    if (*c == ' ' || mark || !is_invisible(*c)) {
      shown += text.substr(begin, position - begin);
    } else {
      shown += fmt::format("<U+{:04X}>", static_cast<uint32_t>(*c));
    }
  }
  return shown;
}

std::vector<Word> split_words(std::string_view text, const TokenizerOptions& options, uint32_t base) {
  std::vector<Character> characters = clean(text, base, options.tokenize_chinese_chars);
  if (options.strip_accents.value_or(options.lowercase)) characters = strip_accents(characters);
  if (options.lowercase) lower(characters);
  std::vector<Word> words;
  bool open = false;  // whether the next character continues the last word
  for (const Character& c : characters) {
    if (is_space(c.value)) {
      open = false;
      continue;
    }
    const bool alone = is_punctuation(c.value);
    if (!open || alone) words.emplace_back();
    append(words.back(), c);
    open = !alone;
  }
  return words;
}

}  // namespace qing::nn
