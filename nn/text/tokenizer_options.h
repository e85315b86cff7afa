// How a tokenizer splits texts.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace qing::nn {

inline constexpr int32_t kDefaultMaxLength = 128;

struct TokenizerOptions {
  bool lowercase = true;
  int32_t max_length = kDefaultMaxLength;  ///< with [CLS] and [SEP]
  std::optional<bool> strip_accents = {};  ///< default: the value of lowercase
  bool tokenize_chinese_chars = true;      ///< each CJK ideograph is a word of its own
};

/// The special tokens, in the order in which a trained vocabulary begins.
inline constexpr std::string_view kSpecialTokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

}  // namespace qing::nn
