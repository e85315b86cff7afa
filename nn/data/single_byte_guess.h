// Guessing the encoding of texts that have one byte for each letter, by the letters of their languages.
#pragma once

#include <string>
#include <string_view>

namespace qing::nn {

/// What the bytes above 127 are in the encoding that fits them best.
struct SingleByteGuess {
  std::string encoding = {};  ///< one of CP1250 to CP1254, or "KOI8-R"; empty when none fits
  double fit = 0;             ///< the fraction of the bytes that are letters of one language, or signs
  double in_latin_words = 0;  ///< the fraction of the bytes beside an ASCII letter, or between no letters
};

/// Compares the bytes above 127 with the letters of the languages of Western Europe (CP1252), of those of Central
/// Europe (CP1250) and of Turkish (CP1254). If languages of several encodings fit equally well, the guess is CP1252,
/// because the bytes that these encodings share nearly always mean the same letters. A few bytes may therefore be taken
/// for CP1252 although they are not. Cyrillic and Greek letters (CP1251, KOI8-R, CP1253) stand in words without Latin
/// letters. At least half of them must be the ten most common letters.
SingleByteGuess guess_single_byte(std::string_view bytes);

}  // namespace qing::nn
