// The properties of code points in `tokenizers`, whose crates follow several versions of Unicode. Ids are equal only if
// each property has the same version here. The table was therefore read from `tokenizers` itself (unicode_runs.py).
#pragma once

#include <cstdint>

namespace qing::nn::text {

/// Values of Grapheme_Cluster_Break (UAX #29), with Extended_Pictographic as one of them.
enum class GraphemeBreak : uint8_t {
  kOther,
  kCr,
  kLf,
  kControl,
  kExtend,
  kZwj,
  kRegional,
  kPrepend,
  kSpacingMark,
  kL,
  kV,
  kT,
  kLv,
  kLvt,
  kPictographic,
};

enum class ConjunctBreak : uint8_t { kNone, kConsonant, kExtend, kLinker };

/// The properties of one code point.
class Properties {
 public:
  constexpr explicit Properties(uint32_t bits = 0) : bits_(bits) {}

  constexpr uint8_t combining_class() const { return static_cast<uint8_t>(bits_); }
  constexpr GraphemeBreak grapheme_break() const { return static_cast<GraphemeBreak>(bits_ >> 8 & 15); }
  constexpr ConjunctBreak conjunct_break() const { return static_cast<ConjunctBreak>(bits_ >> 12 & 3); }
  constexpr bool punctuation() const { return flag(0); }  ///< a P category, or a symbol of ASCII
  constexpr bool removed() const { return flag(1); }      ///< by BERT's cleanup: Cc, Cf, Co, U+0000, U+FFFD
  constexpr bool nonspacing() const { return flag(2); }   ///< Mn
  constexpr bool space() const { return flag(3); }        ///< White_Space
  constexpr bool numeric() const { return flag(4); }      ///< Nd, Nl, No as the pre-tokenizer Digits has them
  constexpr bool letter() const { return flag(5); }       ///< a letter (L) of byte-level splitting
  constexpr bool number() const { return flag(6); }       ///< a number (N) of byte-level splitting
  constexpr bool word() const { return flag(7); }         ///< a word character of regular expressions
  constexpr bool mark() const { return flag(8); }         ///< M
  constexpr bool decomposes() const { return flag(9); }   ///< canonically
  constexpr bool decomposes_compatibly() const { return flag(10); }
  constexpr bool lowered() const { return flag(11); }    ///< has another lower case
  constexpr bool composite() const { return flag(12); }  ///< NFC composes it

 private:
  constexpr bool flag(int i) const { return (bits_ >> (14 + i) & 1) != 0; }
  uint32_t bits_;
};

/// Looks up code points in constant time. Thread-safe.
class PropertyTable {
 public:
  /// The only one, built at the first call.
  static const PropertyTable& get();

  /// `c` is a scalar value.
  Properties operator[](char32_t c) const { return Properties(blocks_[index_[c >> 8]][c & 0xFF]); }
  /// Of a character that is lowered() and not U+0130, the only one whose lower case is two characters.
  char32_t lower(char32_t c) const;

 private:
  PropertyTable();

  static constexpr int kMaxBlocks = 512;
  uint16_t index_[0x1100] = {};
  uint32_t blocks_[kMaxBlocks][256] = {};
};

}  // namespace qing::nn::text
