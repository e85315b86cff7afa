// The data of a translation model's training: pairs of texts as token ids, and batches of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/models/translation_folder.h>
#include <qing/nn/text/tokenizer.h>

namespace qing::optim {

/// A text and its translation.
struct TranslationPair {
  std::string source, target;  ///< valid UTF-8
  std::string from, to;        ///< their languages: "en", "zh"
};

/// The language tokens of the pairs' targets, in the order of their bytes. None for a single language: its model needs
/// no such token.
std::vector<std::string> language_tokens(std::span<const TranslationPair> pairs);

struct TranslationExample {
  std::vector<int32_t> source;  ///< with the language token, if there are some, and the end token
  std::vector<int32_t> target;  ///< with the end token, without the start token
  int64_t tokens() const { return static_cast<int64_t>(source.size() + target.size()); }
};

struct TranslationExamples {
  std::vector<TranslationExample> examples;
  size_t too_long = 0;  ///< pairs that were left out, because a side has more tokens than the tokenizer takes
};

/// A source as the model of this tokenizer takes it: the language token, if the tokenizer has one, the text and the end
/// token. Nothing for a text of more tokens than the tokenizer takes. DataError for a text that is not UTF-8.
std::optional<std::vector<int32_t>> encode_source(const std::string& text, std::string_view to,
                                                  const nn::Tokenizer& tokenizer);

/// Encodes the pairs with a tokenizer whose texts end in its separator token, with the language token that it has for
/// a pair's target. DataError "pair I: ..." for a text that
/// is not UTF-8; ValueError for pairs of several target languages of which the tokenizer lacks one.
TranslationExamples encode_pairs(std::span<const TranslationPair> pairs, const nn::Tokenizer& tokenizer);

/// Joins examples in a batch, with `start_id` in front of the targets. Thread-safe.
class TranslationCollate {
 public:
  explicit TranslationCollate(int32_t start_id) : start_id_(start_id) {}
  nn::TranslationBatch operator()(const std::vector<TranslationExample>& examples) const;

 private:
  int32_t start_id_;
};

/// Pairs first to last − 1 of a batch. The tensors share its memory.
nn::TranslationBatch part_of(const nn::TranslationBatch& batch, int64_t first, int64_t last);

}  // namespace qing::optim
