// Choosing the next token.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include <qing/tensor/random.h>
#include <qing/tensor/tensor.h>

namespace qing::nn {

struct GenerateOptions {
  int64_t max_new_tokens = 20;
  double temperature = 0;  ///< 0: the likeliest token; else logits are divided by it and one is drawn
  int64_t top_k = 0;       ///< draw from the k likeliest only; 0: from all
  /// After it a sequence repeats this token; generation stops when all are there.
  std::optional<int64_t> eos_token_id = std::nullopt;
};

class TokenSampler {
 public:
  /// ValueError for options out of their range, or a temperature without rng. `rng` outlives the sampler.
  TokenSampler(const GenerateOptions& options, Generator* rng);
  /// A token of each row of logits [batch, vocabulary]: i64 [batch]. Of equal ones, the first counts as the likeliest.
  Tensor draw(const Tensor& logits) const;

 private:
  int64_t draw_row(std::span<const double> logits) const;
  GenerateOptions options_;
  Generator* rng_;
};

}  // namespace qing::nn
