#include <qing/optim/translation/translation_scores.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::optim {
namespace {

constexpr int64_t kMostRows = 256;  // live hypotheses at a time

// The first part of "zh_Hans".
std::string_view main_part(std::string_view language) { return language.substr(0, language.find_first_of("-_")); }

// The sum of the counts of the segments.
template <class Counts> Counts sum_of(std::span<const Counts> counts, std::span<const int64_t> segments) {
  Counts sum;
  for (const int64_t segment : segments) sum += counts[static_cast<size_t>(segment)];
  return sum;
}

template <class Counts> Counts sum_of(std::span<const Counts> counts) {
  Counts sum;
  for (const Counts& one : counts) sum += one;
  return sum;
}

}  // namespace

nn::BleuTokenizer bleu_tokenizer_of(std::string_view language) {
  constexpr std::array<std::string_view, 4> kChinese = {"zh", "zho", "cmn", "yue"};
  constexpr std::array<std::string_view, 6> kWithoutSpaces = {"ja", "jpn", "th", "lo", "km", "my"};
  const std::string_view name = main_part(language);
  if (std::ranges::count(kChinese, name) > 0) return nn::BleuTokenizer::zh;
  return std::ranges::count(kWithoutSpaces, name) > 0 ? nn::BleuTokenizer::character : nn::BleuTokenizer::v13a;
}

TranslationScores score_translations(std::span<const std::string> translations, std::span<const std::string> references,
                                     std::string_view language, int64_t resamples) {
  if (translations.empty() || translations.size() != references.size()) {
    throw ValueError(fmt::format("score_translations: {} translations and {} references; give one for each",
                                 translations.size(), references.size()));
  }
  const nn::BleuTokenizer tokenizer = bleu_tokenizer_of(language);
  std::vector<nn::BleuCounts> bleu(translations.size());
  std::vector<nn::ChrfCounts> chrf(translations.size());
  parallel_for(std::ssize(translations), 16, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      const std::span<const std::string> reference = references.subspan(i, 1);
      bleu[i] = nn::bleu_counts(translations[i], reference, tokenizer);
      chrf[i] = nn::chrf_counts(translations[i], reference);
    }
  });
  const std::span<const nn::BleuCounts> bleu_counts = bleu;
  const std::span<const nn::ChrfCounts> chrf_counts = chrf;
  TranslationScores scores{.sentences = std::ssize(translations),
                           .bleu = nn::bleu(sum_of(bleu_counts)),
                           .chrf = nn::chrf(sum_of(chrf_counts)),
                           .bleu_interval = {},
                           .chrf_interval = {},
                           .bleu_signature = nn::bleu_signature(tokenizer),
                           .chrf_signature = nn::chrf_signature()};
  if (resamples == 0) return scores;
  scores.bleu_interval = nn::bootstrap_segments(
      bleu.size(), [&](std::span<const int64_t> draws) { return nn::bleu(sum_of(bleu_counts, draws)).score; },
      resamples);
  scores.chrf_interval = nn::bootstrap_segments(
      chrf.size(), [&](std::span<const int64_t> draws) { return nn::chrf(sum_of(chrf_counts, draws)); }, resamples);
  return scores;
}

std::vector<std::string> translate_sources(const nn::TranslationFolder& folder, std::span<const TranslationPair> pairs,
                                           const nn::DecodingOptions& options) {
  std::vector<std::string> translations(pairs.size());
  std::vector<nn::DecodingRequest> requests;
  std::vector<size_t> places;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const auto source = encode_source(pairs[i].source, pairs[i].to, folder.tokenizer);
    if (!source) continue;
    requests.push_back({.source = *source, .options = options});
    places.push_back(i);
  }
  const std::vector<nn::DecodingResult> results = nn::decode(*folder.model, requests, kMostRows);
  for (size_t i = 0; i < results.size(); ++i) {
    if (!results[i].error.empty()) throw DataError(fmt::format("pair {}: {}", places[i], results[i].error));
    translations[places[i]] = folder.tokenizer.decode(results[i].sequences.front().tokens);
  }
  return translations;
}

}  // namespace qing::optim
