// From attributions of tokens and n-grams to the explanation of a text.
#pragma once

#include <span>
#include <string_view>

#include <qing/nn/models/integrated_gradients.h>
#include <qing/nn/models/prediction.h>
#include <qing/nn/text/ngrams.h>

namespace qing::nn {

/// A span for each token that stands for bytes of `text`; tokens that share a character, as accented letters may give,
/// are one span. `encoder_end` is the text's size, or the end of the last token of a truncated text.
Explanation explanation_of(const Attribution& attribution, const Encoding& encoding, int32_t label,
                           std::string_view text);

/// Adds a span of weight 0 for each word of `text` behind `encoder_end`; of a word that the encoder read in part, the
/// rest. `options` are those of the n-grams.
void add_unread_words(Explanation& explanation, std::string_view text, const TokenizerOptions& options);

/// Adds what n-grams contributed, whose `weights` are [rows, labels], to the spans they cover, in proportion to the
/// bytes. What covers no span is added to the gap.
void add_ngrams(Explanation& explanation, const Attribution& attribution, std::span<const NgramOccurrence> ngrams,
                const Tensor& weights);

}  // namespace qing::nn
