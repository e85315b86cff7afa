// What a decoder does with the logits of one hypothesis. Private to this folder.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <qing/nn/models/decoding_options.h>

namespace qing::nn {

/// log Σ e^x of a row, at least one. NaN or +∞ if an element is; −∞ if all are.
double log_sum_exp(std::span<const float> row);

struct ScoredToken {
  float value;
  int32_t token;
};
/// The `count` largest elements, largest first; of equal ones the first. Those that are −∞ are left out.
void largest_elements(std::span<const float> row, int64_t count, std::vector<ScoredToken>& into);

/// Changes logits [vocabulary] of the token behind `tokens` (a start token, then those of a hypothesis) as the options
/// say and as `transformers`' logits processors do: −∞ for tokens that must not follow. `normalizer` is log_sum_exp()
/// of the unchanged logits. In a beam the repetition penalty changes log-probabilities instead of logits, as it does
/// there.
void apply_rules(const DecodingOptions& options, int32_t eos_id, std::span<const int32_t> tokens, double normalizer,
                 std::span<float> logits);

}  // namespace qing::nn
