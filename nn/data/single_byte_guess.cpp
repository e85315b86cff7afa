#include <qing/nn/data/single_byte_guess.h>

#include <iconv.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cstdint>

namespace qing::nn {
namespace {

using ByteSet = std::bitset<256>;

constexpr double kFits = 0.75;     // of a language, to be taken for it
constexpr double kFitsSure = 0.9;  // of a language whose encoding is less common than CP1252
constexpr double kMargin = 0.02;   // by which such a language must fit better

// Most encodings have these at the same places.
constexpr std::string_view kSigns = "€‚„…‘’“”•–—™\u00A0§©«®°±´µ·»№";
// Signs of CP1252 whose bytes are letters in CP1250. They count only where no letter follows.
constexpr std::string_view kFigures = "£¥¼½¾¹²³ªº";

constexpr std::string_view kWestern = "CP1252";

struct KnownLanguage {
  std::string_view encoding, letters;
};

constexpr std::array<KnownLanguage, 18> kKnownLanguages = {{
    {"CP1252", "äöüßÄÖÜ"},                             // German
    {"CP1252", "àâæçéèêëîïôùûüÀÂÆÇÉÈÊËÎÏÔÙÛÜ"},        // French
    {"CP1252", "áéíñóúüÁÉÍÑÓÚÜ"},                      // Spanish
    {"CP1252", "áâãàçéêíóôõúüÁÂÃÀÇÉÊÍÓÔÕÚÜ"},          // Portuguese
    {"CP1252", "àèéìíîòóùúÀÈÉÌÍÎÒÓÙÚ"},                // Italian
    {"CP1252", "æøåéèêóòÆØÅÉÈÊÓÒ"},                    // Danish and Norwegian
    {"CP1252", "åäöéüšžÅÄÖÉÜŠŽ"},                      // Swedish and Finnish
    {"CP1252", "ëïéèöüêáóíËÏÉÈÖÜÊÁÓÍ"},                // Dutch
    {"CP1252", "áðéíóúýþæöÁÐÉÍÓÚÝÞÆÖ"},                // Icelandic
    {"CP1252", "àçèéíïòóúüÀÇÈÉÍÏÒÓÚÜ"},                // Catalan
    {"CP1252", "äöõüšžÄÖÕÜŠŽ"},                        // Estonian
    {"CP1250", "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ"},                  // Polish
    {"CP1250", "áčďéěíňóřšťúůýžÁČĎÉĚÍŇÓŘŠŤÚŮÝŽ"},      // Czech
    {"CP1250", "áäčďéíĺľňóôŕšťúýžÁÄČĎÉÍĹĽŇÓÔŔŠŤÚÝŽ"},  // Slovak
    {"CP1250", "áéíóöőúüűÁÉÍÓÖŐÚÜŰ"},                  // Hungarian
    {"CP1250", "čćđšžČĆĐŠŽ"},                          // Croatian and Slovenian
    {"CP1250", "ăâîşţĂÂÎŞŢ"},                          // Romanian
    {"CP1254", "çğıöşüâîûÇĞİÖŞÜÂÎÛ"},                  // Turkish
}};

// Alphabets without Latin letters. The ten common letters are at least half of the letters of a text.
struct KnownAlphabet {
  std::string_view encoding, small, capitals, common;
};

constexpr std::string_view kCommonCyrillic = "оеаинтсрвлОЕАИНТСРВЛ";
constexpr std::array<KnownAlphabet, 3> kAlphabets = {{
    {"CP1251", "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґў", "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЁІЇЄҐЎ", kCommonCyrillic},
    {"KOI8-R", "абвгдежзийклмнопрстуфхцчшщъыьэюяё", "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЁ", kCommonCyrillic},
    {"CP1253", "αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώϊϋΐΰ", "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΆΈΉΊΌΎΏ", "αοιετνσηυρΑΟΙΕΤΝΣΗΥΡ"},
}};

// The bytes of those characters that the encoding has.
ByteSet letter_bytes(std::string_view encoding, std::string_view characters) {
  std::string from(characters), to(characters.size(), '\0');
  char *in = from.data(), *out = to.data();
  size_t left_in = from.size(), left_out = to.size();
  const iconv_t converter = iconv_open(std::string(encoding).c_str(), "UTF-8");
  while (left_in > 0 && iconv(converter, &in, &left_in, &out, &left_out) == size_t(-1)) {
    // The encoding lacks this character, which is a byte and those of its form 10xxxxxx.
    do ++in, --left_in;
    while (left_in > 0 && (static_cast<unsigned char>(*in) & 0xC0) == 0x80);
  }
  iconv_close(converter);
  ByteSet set;
  for (const char c : std::string_view(to).substr(0, to.size() - left_out)) set.set(static_cast<unsigned char>(c));
  return set;
}

uint8_t byte_at(std::string_view bytes, size_t i) { return i < bytes.size() ? static_cast<uint8_t>(bytes[i]) : 0; }
bool is_above_ascii(uint8_t c) { return c >= 0x80; }
bool is_letter_of_ascii(uint8_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

double part_of(size_t part, size_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

// What the bytes above 127 have beside them, counted once for all languages.
struct HighBytes {
  explicit HighBytes(std::string_view bytes) {
    const bool asks = bytes.find('?') != bytes.npos;
    for (size_t i = 0; i < bytes.size(); ++i) {
      const uint8_t c = byte_at(bytes, i), next = byte_at(bytes, i + 1);
      const uint8_t previous = i > 0 ? byte_at(bytes, i - 1) : 0;
      if (!is_above_ascii(c)) continue;
      ++all;
      ++of[c];
      const bool beside = is_letter_of_ascii(next) || is_letter_of_ascii(previous);
      if (beside || (!is_above_ascii(next) && !is_above_ascii(previous))) ++in_latin_words;
      if (beside) ++in_words[c];
      if (!is_letter_of_ascii(next) && !is_above_ascii(next)) ++before_none[c];
      // "Œ" of French; at its places in CP1250 stands "Ś".
      if (std::string_view("uidtUIDT").find(static_cast<char>(next)) != std::string_view::npos) ++before_few[c];
      // "¿", where CP1250 has "ż".
      if (asks && !is_letter_of_ascii(previous) && !is_above_ascii(previous)) ++in_front[c];
    }
  }
  size_t sum(const ByteSet& set, const std::array<size_t, 256>& counts) const {
    size_t total = 0;
    for (size_t c = 0x80; c < counts.size(); ++c) total += set[c] ? counts[c] : 0;
    return total;
  }

  size_t all = 0, in_latin_words = 0;
  std::array<size_t, 256> of{}, in_words{}, before_none{}, before_few{}, in_front{};
};

// Cyrillic or Greek. The small letters of one encoding are capitals of another, and texts are rarely of capitals.
SingleByteGuess alphabet_guess(const HighBytes& counts) {
  constexpr double kOfCapitals = 0.8;
  SingleByteGuess best;
  double best_rank = 0;
  for (const KnownAlphabet& one : kAlphabets) {
    const ByteSet small = letter_bytes(one.encoding, one.small), capitals = letter_bytes(one.encoding, one.capitals);
    const size_t letters = counts.sum(small | capitals, counts.of);
    const double fit = part_of(letters + counts.sum(letter_bytes(one.encoding, kSigns), counts.of), counts.all);
    const double common = part_of(counts.sum(letter_bytes(one.encoding, one.common), counts.of), letters);
    const double rank = common * (2 * counts.sum(small, counts.of) >= letters ? 1 : kOfCapitals);
    if (fit < kFitsSure || common < 0.5 || rank <= best_rank) continue;
    best_rank = rank;
    best = {.encoding = std::string(one.encoding), .fit = fit};
  }
  return best;
}

// The language that fits best. Another encoding than CP1252 must fit better by kMargin.
SingleByteGuess latin_guess(const HighBytes& counts) {
  const size_t western_more = counts.sum(letter_bytes(kWestern, kFigures), counts.before_none) +
                              counts.sum(letter_bytes(kWestern, "œŒ"), counts.before_few) +
                              counts.sum(letter_bytes(kWestern, "¿¡"), counts.in_front);
  SingleByteGuess best;
  for (const KnownLanguage& one : kKnownLanguages) {
    const bool western = one.encoding == kWestern;
    const ByteSet known = letter_bytes(one.encoding, one.letters) | letter_bytes(one.encoding, kSigns);
    const double fit = part_of(counts.sum(known, counts.of) + (western ? western_more : 0), counts.all);
    if (western ? fit >= kFits && fit > best.fit : fit >= kFitsSure && fit > best.fit + kMargin) {
      best = {.encoding = std::string(one.encoding), .fit = fit};
    }
  }
  if (!best.encoding.empty()) return best;
  // Texts of several Western languages: letters of CP1252 beside ASCII letters.
  ByteSet letters;
  for (size_t c = 0xC0; c < letters.size(); ++c) letters[c] = c != 0xD7 && c != 0xF7 && c != 0xFF;
  const double fit = part_of(
      counts.sum(letters, counts.in_words) + counts.sum(letter_bytes(kWestern, kSigns), counts.of) + western_more,
      counts.all);
  return fit >= kFits ? SingleByteGuess{.encoding = std::string(kWestern), .fit = fit} : SingleByteGuess{};
}

}  // namespace

SingleByteGuess guess_single_byte(std::string_view bytes) {
  const HighBytes counts(bytes);
  if (counts.all == 0) return {};
  SingleByteGuess best;
  const double in_latin_words = part_of(counts.in_latin_words, counts.all);
  if (in_latin_words < 0.3) best = alphabet_guess(counts);
  if (best.encoding.empty()) best = latin_guess(counts);
  best.in_latin_words = in_latin_words;
  return best;
}

}  // namespace qing::nn
