#include <qing/nn/text/wordpiece_decode.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace qing::nn {
namespace {

// The space before these goes (the clean-up of `tokenizers`' WordPiece decoder, as far as one token can be concerned).
constexpr std::array<std::string_view, 9> kWithoutSpace = {".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re"};

bool is_special(const Tokenizer& tokenizer, int32_t id) {
  return id == tokenizer.pad_id() || id == tokenizer.unk_id() || id == tokenizer.cls_id() || id == tokenizer.sep_id() ||
         id == tokenizer.mask_id();
}

}  // namespace

std::string decode_wordpiece(const Tokenizer& tokenizer, std::span<const int32_t> ids, bool skip_special_tokens) {
  constexpr std::string_view kContinues = "##";
  std::string text;
  bool first = true;
  for (const int32_t id : ids) {
    if (id < 0 || id >= tokenizer.vocab_size() || (skip_special_tokens && is_special(tokenizer, id))) continue;
    const std::string token(tokenizer.token(id));
    if (first) {
      text = token;
    } else if (token.starts_with(kContinues)) {
      text += token.substr(kContinues.size());
    } else {
      const auto joins = [&token](std::string_view mark) { return token.starts_with(mark); };
      if (std::ranges::none_of(kWithoutSpace, joins)) text += ' ';
      text += token;
    }
    first = false;
  }
  return text;
}

}  // namespace qing::nn
