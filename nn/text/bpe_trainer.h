// Training of byte-level BPE vocabularies (Radford et al. 2019).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/text/tokenizer.h>

namespace qing::nn {

/// The special tokens and the 256 bytes are always there.
inline constexpr int32_t kSmallestByteLevelVocabulary = 256 + 5;

struct BpeOptions {
  int32_t max_length = kDefaultMaxLength;
  int64_t min_frequency = 2;  ///< of a pair that is merged
  /// Tokens with ids behind those of kSpecialTokens, which stand for themselves wherever a text spells them out.
  std::vector<std::string> more_special_tokens = {};
  bool begins_with_cls = true;  ///< otherwise a text has [SEP] behind it, and nothing in front
};

/// A tokenizer with a byte-level BPE vocabulary of at most `size` tokens: kSpecialTokens, the 256 bytes, and what
/// merging the most frequent pairs of the texts' words gives, as long as a pair occurs min_frequency times. Ties break
/// by the smaller ids. Texts keep their case and white space, and no text has an unknown token. Vocabulary and merges
/// are those of BpeTrainer of `tokenizers` 0.23 with the bytes as initial alphabet. The tokenizer puts [CLS] and [SEP]
/// around a text, and its folder is one that AutoTokenizer loads. ValueError for a size below
/// kSmallestByteLevelVocabulary, with further special tokens so many more, for a min_frequency below 1, and for a
/// further special token that is empty or there already; DataError naming the index of a text that is not UTF-8.
Tokenizer train_byte_level_bpe(std::span<const std::string> texts, int32_t size, int32_t max_length = kDefaultMaxLength,
                               int64_t min_frequency = 2);
Tokenizer train_byte_level_bpe(std::span<const std::string> texts, int32_t size, const BpeOptions& options);

}  // namespace qing::nn
