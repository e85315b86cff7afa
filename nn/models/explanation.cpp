#include <qing/nn/models/explanation.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <qing/nn/text/normalizer.h>

namespace qing::nn {
namespace {

uint32_t overlap(const Explanation::Span& span, const NgramOccurrence& ngram) {
  const uint32_t begin = std::max(span.begin, ngram.begin), end = std::min(span.end, ngram.end);
  return begin < end ? end - begin : 0;
}

// Returns whether any span took the contribution.
bool share_out(std::vector<Explanation::Span>& spans, const NgramOccurrence& ngram, double contribution) {
  const auto first = std::partition_point(spans.begin(), spans.end(),
                                          [&](const Explanation::Span& span) { return span.end <= ngram.begin; });
  const auto last =
      std::partition_point(first, spans.end(), [&](const Explanation::Span& span) { return span.begin < ngram.end; });
  uint32_t covered = 0;
  for (auto span = first; span != last; ++span) covered += overlap(*span, ngram);
  if (covered == 0) return false;
  for (auto span = first; span != last; ++span) span->weight += contribution * overlap(*span, ngram) / covered;
  return true;
}

}  // namespace

Explanation explanation_of(const Attribution& attribution, const Encoding& encoding, int32_t label,
                           std::string_view text) {
  Explanation explanation{.label = label,
                          .score = attribution.score,
                          .baseline = attribution.baseline,
                          .spans = {},
                          .gap = attribution.gap};
  for (size_t i = 0; i < encoding.offsets.size(); ++i) {
    const auto [begin, end] = encoding.offsets[i];
    if (begin == end) continue;
    std::vector<Explanation::Span>& spans = explanation.spans;
    if (!spans.empty() && begin < spans.back().end) {
      spans.back().end = std::max(spans.back().end, end);
      spans.back().weight += attribution.weights[i];
    } else {
      spans.push_back({begin, end, attribution.weights[i]});
    }
    explanation.encoder_end = explanation.spans.back().end;
  }
  if (!encoding.truncated) explanation.encoder_end = static_cast<uint32_t>(text.size());
  return explanation;
}

void add_unread_words(Explanation& explanation, std::string_view text, const TokenizerOptions& options) {
  const uint32_t from = explanation.encoder_end;
  for (const Word& word : split_words(text.substr(from), options, from)) {
    explanation.spans.push_back({word.origins.front().first, word.origins.back().second, 0});
  }
}

void add_ngrams(Explanation& explanation, const Attribution& attribution, std::span<const NgramOccurrence> ngrams,
                const Tensor& weights) {
  const auto labels = static_cast<int64_t>(attribution.logit_slopes.size());
  for (const NgramOccurrence& ngram : ngrams) {
    const float* row = weights.data<float>() + ngram.row * labels;
    const double contribution =
        ngram.value * std::inner_product(attribution.logit_slopes.begin(), attribution.logit_slopes.end(), row, 0.0);
    if (!share_out(explanation.spans, ngram, contribution)) explanation.gap += std::abs(contribution);
  }
}

}  // namespace qing::nn
