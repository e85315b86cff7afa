// Makes the explanation of a text from the attributions of its tokens and n-grams.
#pragma once

#include <span>
#include <string_view>

#include <qing/nn/models/integrated_gradients.h>
#include <qing/nn/models/prediction.h>
#include <qing/nn/text/ngrams.h>

namespace qing::nn {

/// Makes a span for each token with bytes in `text`. Tokens that share a character, for example an accented letter,
/// form one span. `encoder_end` is the size of the text, or the end of the last token of a truncated text.
Explanation explanation_of(const Attribution& attribution, const Encoding& encoding, int32_t label,
                           std::string_view text);

/// Adds a span of weight 0 for each word of `text` after `encoder_end`. If the encoder read a word in part, the span is
/// its rest. `options` are those of the n-grams.
void add_unread_words(Explanation& explanation, std::string_view text, const TokenizerOptions& options);

/// Adds the contributions of n-grams to the spans that they cover, in proportion to the bytes. `weights` of the n-grams
/// are [rows, labels]. A contribution that covers no span is added to the gap.
void add_ngrams(Explanation& explanation, const Attribution& attribution, std::span<const NgramOccurrence> ngrams,
                const Tensor& weights);

}  // namespace qing::nn
