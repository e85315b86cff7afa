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

/// Compares the bytes above 127 with the letters of Western Europe's languages (CP1252), of those of Central Europe
/// (CP1250) and of Turkish (CP1254). Of languages that fit as well, those of CP1252 come first: the bytes that they
/// share with others nearly always mean the same letters. A few bytes may therefore be taken for CP1252 where they are
/// not. Cyrillic and Greek letters (CP1251, KOI8-R, CP1253) stand in words of their own, and half of them are the ten
/// most common ones.
SingleByteGuess guess_single_byte(std::string_view bytes);

}  // namespace qing::nn
