// Training of byte-level BPE vocabularies (Radford et al. 2019).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <qing/nn/text/tokenizer.h>

namespace qing::nn {

/// The special tokens and the 256 bytes are always there.
inline constexpr int32_t kSmallestByteLevelVocabulary = 256 + 5;

/// A tokenizer with a byte-level BPE vocabulary of at most `size` tokens: kSpecialTokens, the 256 bytes, and what
/// merging the most frequent pairs of the texts' words gives, as long as a pair occurs min_frequency times. Ties break
/// by the smaller ids. Texts keep their case and white space, and no text has an unknown token. Vocabulary and merges
/// are those of BpeTrainer of `tokenizers` 0.23 with the bytes as initial alphabet. The tokenizer puts [CLS] and [SEP]
/// around a text, and its folder is one that AutoTokenizer loads. ValueError for a size below
/// kSmallestByteLevelVocabulary or a min_frequency below 1; DataError naming the index of a text that is not UTF-8.
Tokenizer train_byte_level_bpe(std::span<const std::string> texts, int32_t size, int32_t max_length = kDefaultMaxLength,
                               int64_t min_frequency = 2);

}  // namespace qing::nn
