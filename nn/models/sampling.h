// Selection of the next token.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing::nn {

struct GenerateOptions {
  int64_t max_new_tokens = 20;
  double temperature = 0;  ///< 0: the likeliest token; otherwise logits are divided by it and a token is drawn
  int64_t top_k = 0;       ///< draw only from the k likeliest tokens; 0: from all
  /// Draw only from the likeliest tokens whose probabilities reach this sum, at least one (nucleus sampling, Holtzman
  /// et al. 2020), after top_k; 1: from all.
  double top_p = 1;
  /// The end token. A sequence repeats it after its first occurrence, and generation stops when all sequences have
  /// ended.
  std::optional<int64_t> eos_token_id = std::nullopt;
};

class TokenSampler {
 public:
  /// ValueError for options out of their range, or a temperature without rng. `rng` must outlive the sampler.
  TokenSampler(const GenerateOptions& options, Generator* rng);
  /// Returns a token for each row of logits [batch, vocabulary]: i64 [batch]. Among equal logits the first counts as
  /// the
  /// likeliest.
  Tensor draw(const Tensor& logits) const;

 private:
  int64_t draw_row(std::span<const double> logits) const;
  GenerateOptions options_;
  Generator* rng_;
};

}  // namespace qing::nn
