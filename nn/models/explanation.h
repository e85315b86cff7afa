// From attributions of tokens and n-grams to the explanation of a text.
#pragma once

#include <span>

#include <qing/nn/models/integrated_gradients.h>
#include <qing/nn/models/text_classifier.h>

namespace qing::nn {

/// A span for each token that stands for bytes of the text; those that share a character, as accented letters may give,
/// are one.
Explanation explanation_of(const Attribution& attribution, const Encoding& encoding, int32_t label);

/// Adds what n-grams contributed, whose `weights` are [rows, labels], to the spans they cover, in proportion to the
/// bytes. Those behind the last token of a text that was cut share one span more.
void add_ngrams(Explanation& explanation, const Attribution& attribution, std::span<const NgramOccurrence> ngrams,
                const Tensor& weights);

}  // namespace qing::nn
