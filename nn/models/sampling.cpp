#include <qing/nn/models/sampling.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace qing::nn {

TokenSampler::TokenSampler(const GenerateOptions& options, Generator* rng) : options_(options), rng_(rng) {
  // Dividing a logit of -inf by an infinite temperature gives NaN, and an excluded token would then be drawn.
  if (options.max_new_tokens < 0 || options.top_k < 0 || !(options.temperature >= 0) ||
      !std::isfinite(options.temperature)) {
    throw ValueError(
        fmt::format("generate: max_new_tokens {}, top_k {} and temperature {} must be finite and at least 0",
                    options.max_new_tokens, options.top_k, options.temperature));
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    throw ValueError(fmt::format("generate: top_p is {}; it must be in (0, 1]", options.top_p));
  }
  if (options.temperature > 0 && rng == nullptr) {
    throw ValueError("generate: a temperature needs a random generator");
  }
}

Tensor TokenSampler::draw(const Tensor& logits) const {
  const Tensor rows = logits.to(DType::f64).contiguous();
  const auto width = static_cast<size_t>(rows.size(1));
  Tensor chosen = Tensor::empty({rows.size(0)}, DType::i64);
  for (int64_t b = 0; b < rows.size(0); ++b) {
    chosen.data<int64_t>()[b] = draw_row(rows.span<double>().subspan(static_cast<size_t>(b) * width, width));
  }
  return chosen;
}

int64_t TokenSampler::draw_row(std::span<const double> logits) const {
  const bool nan = std::any_of(logits.begin(), logits.end(), [](double x) { return std::isnan(x); });
  if (logits.empty() || nan || !std::isfinite(*std::max_element(logits.begin(), logits.end()))) {
    throw ValueError("generate: the logits hold NaN or have no finite maximum; the model's weights have overflowed");
  }
  const auto top = std::max_element(logits.begin(), logits.end());
  if (options_.temperature == 0) return top - logits.begin();
  std::vector<int64_t> likeliest(logits.size());
  std::iota(likeliest.begin(), likeliest.end(), 0);
  const auto before = [&](int64_t a, int64_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; };
  if (options_.top_k > 0 && options_.top_k < static_cast<int64_t>(likeliest.size())) {
    std::partial_sort(likeliest.begin(), likeliest.begin() + options_.top_k, likeliest.end(), before);
    likeliest.resize(static_cast<size_t>(options_.top_k));
  }
  const bool nucleus = options_.top_p < 1;
  if (nucleus) std::sort(likeliest.begin(), likeliest.end(), before);
  std::vector<double> until;  // the distribution function
  until.reserve(likeliest.size());
  double total = 0;
  for (const int64_t token : likeliest) {
    until.push_back(total += std::exp((logits[token] - *top) / options_.temperature));
  }
  if (nucleus) {  // the likeliest tokens until their share of all probabilities reaches top_p
    const auto last = std::lower_bound(until.begin(), until.end(), options_.top_p * total);
    until.erase(std::min(last + 1, until.end()), until.end());
    total = until.back();
  }
  const double at = static_cast<double>(rng_->next_u64() >> 11) * 0x1p-53 * total;
  const auto found = std::upper_bound(until.begin(), until.end(), at) - until.begin();
  return likeliest[std::min(static_cast<size_t>(found), until.size() - 1)];
}

}  // namespace qing::nn
