// How a tokenizer splits texts.
#pragma once

#include <cstdint>
#include <optional>

namespace qing::nn {

inline constexpr int32_t kDefaultMaxLength = 128;

struct TokenizerOptions {
  bool lowercase = true;
  int32_t max_length = kDefaultMaxLength;  ///< with [CLS] and [SEP]
  std::optional<bool> strip_accents = {};  ///< default: the value of lowercase
  bool tokenize_chinese_chars = true;      ///< each CJK ideograph is a word of its own
};

}  // namespace qing::nn
