// BLEU and chrF of translations, equal to those of sacrebleu 2.6. All functions are thread-safe.
//
//   BleuCounts counts;
//   for (each sentence) counts += bleu_counts(translation, {&reference, 1}, BleuTokenizer::zh);
//   const double score = bleu(counts).score;
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/intervals.h>

namespace qing::nn {

/// How BLEU divides a text into words, under the names of sacrebleu.
enum class BleuTokenizer {
  v13a,  ///< marks apart from words, as mteval-v13a.pl of WMT does it
  /// every Chinese character and every full-width mark is a word, the rest as v13a. As in sacrebleu, the characters
  /// from U+2001 to U+2A6D, such as curly quotes, are words too, and those above U+FFFF are not.
  zh,
  character,  ///< every character but white space is a word
  none,       ///< words are what lies between white space
};

/// The words of a text. DataError for a text that is not UTF-8. The time is linear in the text's length.
std::vector<std::string> bleu_words(std::string_view text, BleuTokenizer tokenizer);

inline constexpr int kBleuOrder = 4;  ///< of the longest n-gram

/// The counts of one sentence. Sums of them are those of a corpus.
struct BleuCounts {
  int64_t words = 0;                             ///< of the translation
  int64_t reference_words = 0;                   ///< of the reference whose length is nearest, the shorter of two
  std::array<int64_t, kBleuOrder> matches = {};  ///< n-grams that a reference has, each as often as there at most
  std::array<int64_t, kBleuOrder> ngrams = {};   ///< all n-grams of the translation
  BleuCounts& operator+=(const BleuCounts& other);
};
/// ValueError without a reference; DataError for a text that is not UTF-8.
BleuCounts bleu_counts(std::string_view translation, std::span<const std::string> references, BleuTokenizer tokenizer);

struct BleuOptions {
  /// Orders beyond the longest n-gram of the translation do not count, which a single sentence needs.
  bool effective_order = false;
};
struct BleuScore {
  double score = 0;                                ///< from 0 to 100
  std::array<double, kBleuOrder> precisions = {};  ///< from 0 to 100, smoothed
  double brevity_penalty = 1;
};
/// Papineni et al. 2002, "BLEU: a method for automatic evaluation of machine translation", with the exponential
/// smoothing of Chen & Cherry 2014, method 3: the k-th order without a match counts as 1/2^k of a match.
BleuScore bleu(const BleuCounts& counts, BleuOptions options = {});

struct ChrfOptions {
  int char_order = 6;  ///< of the longest n-gram of characters, without white space
  int word_order = 0;  ///< of the longest n-gram of words; 2 is chrF++ (Popović 2017)
  double beta = 2;     ///< recall counts beta times as much as precision
};

/// The counts of one sentence: for each order of characters, then of words, how many n-grams the translation has, the
/// reference has, and both have. Sums of them are those of a corpus.
struct ChrfCounts {
  std::vector<std::array<int64_t, 3>> orders = {};
  ChrfCounts& operator+=(const ChrfCounts& other);  ///< ValueError for other orders; empty counts take any
};
/// Of several references the one with the best score counts. ValueError without a reference, for an order below 0, and
/// unless some order is above 0; DataError for a text that is not UTF-8.
ChrfCounts chrf_counts(std::string_view translation, std::span<const std::string> references, ChrfOptions options = {});

/// Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation": from 0 to 100, of the mean precision
/// and recall over the orders that both sides have.
double chrf(const ChrfCounts& counts, ChrfOptions options = {});

/// What sacrebleu 2.6 prints beside these scores, such as
/// "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0".
std::string bleu_signature(BleuTokenizer tokenizer, size_t references = 1, BleuOptions options = {});
std::string chrf_signature(ChrfOptions options = {}, size_t references = 1);

/// The percentile bootstrap interval (Koehn 2004, "Statistical significance tests for machine translation
/// evaluation") of a score of a corpus: score(segments) of resamples of the segments 0, 1, ..., with replacement, holds
/// the middle share `level`. For the difference of two systems on the same segments the function returns the
/// difference. The same seed gives the same interval for any number of threads. Several threads call it at once. [0, 0]
/// without segments. ValueError unless resamples ≥ 1 and level is in (0, 1).
Interval bootstrap_segments(size_t segments, const std::function<double(std::span<const int64_t>)>& score,
                            int64_t resamples = 1000, double level = 0.95, uint64_t seed = 42);

}  // namespace qing::nn
