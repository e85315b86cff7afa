#include <qing/nn/text/normalizer.h>

#include <fmt/format.h>
#include <utf8proc.h>

#include <qing/nn/text/pipeline/normalizers.h>
#include <qing/nn/text/pipeline/pre_tokenizers.h>
#include <qing/nn/text/pipeline/unicode_properties.h>
#include <qing/nn/text/tokenizer_options.h>
#include <qing/nn/utf8.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

// To a reader, whose fonts follow newer tables than the tokenizer's: white space, controls, and what has no width.
bool is_invisible(char32_t c) {
  if (text::PropertyTable::get()[c].space()) return true;
  if (c < 0x80) return c < 0x20 || c == 0x7F;
  const auto kind = category(c);
  return c == 0xFFFD || kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CF || kind == UTF8PROC_CATEGORY_CO ||
         kind == UTF8PROC_CATEGORY_MN || utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->ignorable != 0;
}

// Characters [begin, end) of the text as a word.
Word word_of(const text::AlignedText& text, const text::Piece& piece) {
  Word word{.text = std::string(text.view(piece.begin, piece.end)), .starts = {}, .origins = {}};
  for (size_t at = piece.begin; at < piece.end;) {
    const auto [begin, end] = text.origins[at];
    word.starts.push_back(static_cast<uint32_t>(at) - piece.begin);
    word.origins.emplace_back(begin, end);
    text::next_character(text.bytes, at);
  }
  word.starts.push_back(piece.end - piece.begin);
  return word;
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
  if (const auto at = find_invalid_utf8(text)) {
    throw DataError(fmt::format("invalid UTF-8 at byte {}; save the text as UTF-8", base + *at));
  }
  const auto normalizer = text::bert_normalizer({.clean_text = true,
                                                 .handle_chinese_chars = options.tokenize_chinese_chars,
                                                 .strip_accents = options.strip_accents,
                                                 .lowercase = options.lowercase});
  text::PieceText pieces;
  text::NormalizerScratch scratch;
  normalizer->append(text, base, pieces.text, scratch);
  if (pieces.text.size() > 0) pieces.pieces.push_back({0, pieces.text.size()});
  text::PreTokenizerScratch other;
  static const auto cut = text::bert_pre_tokenizer();
  cut->apply(pieces, other);
  std::vector<Word> words;
  words.reserve(pieces.pieces.size());
  for (const text::Piece& piece : pieces.pieces) words.push_back(word_of(pieces.text, piece));
  return words;
}

}  // namespace qing::nn
