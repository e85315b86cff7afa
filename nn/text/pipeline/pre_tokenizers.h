// The second stage of a tokenizer: cutting the normalised text into words.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include <qing/nn/text/pipeline/aligned_text.h>
#include <qing/nn/text/pipeline/text_pattern.h>

namespace qing::nn::text {

/// What happens to the delimiters at which a text is split.
enum class Delimiter { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// Whether a prefix is put in front of each part, of the text's first part, or of none.
enum class PrependScheme { kFirst, kNever, kAlways };

/// Memory that pre-tokenizers reuse for the next text.
struct PreTokenizerScratch {
  PieceText other;
  std::u32string values;
};

/// Immutable; thread-safe. Added tokens stay as they are.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(PieceText& text, PreTokenizerScratch& scratch) const = 0;
};

std::unique_ptr<PreTokenizer> pre_tokenizer_sequence(std::vector<std::unique_ptr<PreTokenizer>> stages);
std::unique_ptr<PreTokenizer> bert_pre_tokenizer();         ///< at white space and around punctuation
std::unique_ptr<PreTokenizer> white_space_pre_tokenizer();  ///< at white space
std::unique_ptr<PreTokenizer> word_pre_tokenizer();         ///< runs of \w and runs of [^\w\s]
std::unique_ptr<PreTokenizer> punctuation_pre_tokenizer(Delimiter behavior);
std::unique_ptr<PreTokenizer> digits_pre_tokenizer(bool individual);
std::unique_ptr<PreTokenizer> character_pre_tokenizer(char32_t delimiter);  ///< which is removed
std::unique_ptr<PreTokenizer> length_pre_tokenizer(size_t characters);
std::unique_ptr<PreTokenizer> split_pre_tokenizer(TextPattern pattern, Delimiter behavior, bool invert);
/// Byte-level's expression as a pattern to split at.
std::unique_ptr<PreTokenizer> byte_level_split(Delimiter behavior, bool invert);
/// Replaces spaces with `replacement`. With `split`, a word begins at each of them.
std::unique_ptr<PreTokenizer> metaspace_pre_tokenizer(char32_t replacement, PrependScheme scheme, bool split);
/// Replaces bytes with their characters. With `use_expression`, splits at byte_level_word_end() before.
std::unique_ptr<PreTokenizer> byte_level_pre_tokenizer(bool add_prefix_space, bool use_expression);

}  // namespace qing::nn::text
