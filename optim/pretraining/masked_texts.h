// The data of masked-language-model pretraining (Devlin et al. 2019): texts as windows of tokens, and batches with
// masked tokens.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/sampler.h>
#include <qing/nn/ragged_batch.h>
#include <qing/nn/text/tokenizer.h>

namespace qing::optim {

/// What a token is to masking.
enum class TokenPlace : uint8_t { special, first_of_word, inside_word };

/// A window of a text.
struct MaskedExample {
  std::vector<int32_t> ids;
  std::vector<TokenPlace> places;  ///< one per id
};

/// All windows of all texts that have a token beside the special ones. Words are as the vocabulary marks them: "##"
/// inside (WordPiece), "▁" or "Ġ" in front (Unigram, byte-level BPE). DataError "text I: ..." on invalid UTF-8, with
/// the index of the text.
std::vector<MaskedExample> masked_examples(std::span<const std::string> texts, const nn::Tokenizer& tokenizer);

struct MaskedBatch {
  nn::RaggedBatch tokens;
  Tensor rows;    ///< of the tokens to predict, i32 [n], ascending
  Tensor labels;  ///< their ids, i32 [n]

  std::vector<int64_t> masked_tokens() const;  ///< to predict, by sequence
  /// Sequences first to last − 1. The ids share this batch's memory.
  MaskedBatch part(int64_t first, int64_t last) const;
};

struct MaskingOptions {
  double share = 0.15;       ///< of a window's tokens that are predicted, one at least
  bool whole_words = false;  ///< all tokens of a word, or none
  uint64_t seed = 42;
};

/// Makes the batches. Of the tokens to predict 80% become the mask, 10% a random token and 10% stay, as in
/// create_pretraining_data.py of BERT (https://github.com/google-research/bert). Draws are a function of the seed and
/// the number of the batch. Immutable; thread-safe.
class MaskedCollate {
 public:
  /// ValueError for a tokenizer without a mask token.
  MaskedCollate(const nn::Tokenizer& tokenizer, const MaskingOptions& options);
  MaskedBatch operator()(std::vector<MaskedExample> examples, const nn::BatchNumber& number) const;

 private:
  MaskingOptions options_;
  int32_t mask_;
  std::vector<int32_t> ordinary_;  // ids of tokens that are not special
};

}  // namespace qing::optim
