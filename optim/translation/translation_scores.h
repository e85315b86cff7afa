// What translations of a test set are worth: BLEU and chrF as sacrebleu reports them, with intervals.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/intervals.h>
#include <qing/nn/models/translation_decoder.h>
#include <qing/nn/models/translation_folder.h>
#include <qing/nn/translation_metrics.h>
#include <qing/optim/translation/translation_data.h>

namespace qing::optim {

struct TranslationScores {
  int64_t sentences = 0;
  nn::BleuScore bleu;
  double chrf = 0;
  nn::Interval bleu_interval, chrf_interval;  ///< 95%, by bootstrap over the sentences; [0, 0] unless asked for
  std::string bleu_signature, chrf_signature;
};

/// The tokenizer that BLEU has for a language: zh for Chinese, characters for other languages without spaces between
/// words (Japanese, Thai, Lao, Khmer, Burmese), 13a for the rest.
nn::BleuTokenizer bleu_tokenizer_of(std::string_view language);

/// Scores of translations into one language. `resamples` 0: without intervals. ValueError unless there are as many
/// references as translations, and one at least; DataError for a text that is not UTF-8.
TranslationScores score_translations(std::span<const std::string> translations, std::span<const std::string> references,
                                     std::string_view language, int64_t resamples = 1000);

/// The best translations of the pairs' sources, in order. A source of more tokens than the model takes has an empty
/// one. Each depends on its source alone. Errors of encode_pairs() and nn::decode().
std::vector<std::string> translate_sources(const nn::TranslationFolder& folder, std::span<const TranslationPair> pairs,
                                           const nn::DecodingOptions& options = {});

}  // namespace qing::optim
