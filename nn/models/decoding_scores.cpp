#include <qing/nn/models/decoding_scores.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <qing/tensor/kernels/kernels.h>

namespace qing::nn {
namespace {

constexpr float kExcluded = -std::numeric_limits<float>::infinity();
constexpr size_t kLanes = 16;  // running maxima, so that the compiler uses vectors
constexpr size_t kScanned = 64;
constexpr size_t kExpBlock = 1024;

// NaN elements are not larger than any.
float largest_of(const float* x, size_t n) {
  float lanes[kLanes];
  std::fill_n(lanes, kLanes, kExcluded);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) lanes[l] = x[i + l] > lanes[l] ? x[i + l] : lanes[l];
  }
  for (; i < n; ++i) lanes[0] = x[i] > lanes[0] ? x[i] : lanes[0];
  return *std::max_element(lanes, lanes + kLanes);
}

void exclude_ngrams(int64_t size, std::span<const int32_t> tokens, std::span<float> logits) {
  const auto given = static_cast<size_t>(size - 1);
  if (tokens.size() < given + 1) return;
  const auto last = tokens.last(given);
  for (size_t i = 0; i + given < tokens.size(); ++i) {
    if (std::ranges::equal(tokens.subspan(i, given), last)) logits[static_cast<size_t>(tokens[i + given])] = kExcluded;
  }
}

void penalize(double penalty, double shift, std::span<const int32_t> tokens, std::span<float> logits) {
  std::vector<int32_t> once(tokens.begin(), tokens.end());
  std::ranges::sort(once);
  once.erase(std::unique(once.begin(), once.end()), once.end());
  for (const int32_t token : once) {
    const double score = static_cast<double>(logits[static_cast<size_t>(token)]) - shift;
    logits[static_cast<size_t>(token)] = static_cast<float>((score < 0 ? score * penalty : score / penalty) + shift);
  }
}

void force(int32_t token, double normalizer, std::span<float> logits) {
  std::ranges::fill(logits, kExcluded);
  logits[static_cast<size_t>(token)] = static_cast<float>(normalizer);
}

}  // namespace

double log_sum_exp(std::span<const float> row) {
  const float top = largest_of(row.data(), row.size());
  if (!std::isfinite(top)) {
    // Of NaN alone the maximum is −∞, too.
    return std::ranges::any_of(row, [](float x) { return std::isnan(x); }) ? std::nan("") : static_cast<double>(top);
  }
  float block[kExpBlock];
  const auto& table = kernels::kernels<float>();
  double sum = 0;
  for (size_t i = 0; i < row.size(); i += kExpBlock) {
    const size_t n = std::min(kExpBlock, row.size() - i);
    for (size_t j = 0; j < n; ++j) block[j] = row[i + j] - top;
    kernels::apply(table, kernels::Unary::exp, static_cast<int64_t>(n), block, block);
    sum += static_cast<double>(table.sum(static_cast<int64_t>(n), block));
  }
  return static_cast<double>(top) + std::log(sum);
}

void largest_elements(std::span<const float> row, int64_t count, std::vector<ScoredToken>& into) {
  into.clear();
  if (count < 1) return;
  const auto before = [](const ScoredToken& a, const ScoredToken& b) {
    return a.value > b.value || (a.value == b.value && a.token < b.token);
  };
  // A heap whose front is the worst kept element. Later elements must be larger than it, so that the first of equal
  // ones stays.
  float threshold = kExcluded;
  for (size_t begin = 0; begin < row.size(); begin += kScanned) {
    const size_t n = std::min(kScanned, row.size() - begin);
    if (!(largest_of(row.data() + begin, n) > threshold)) continue;
    for (size_t i = begin; i < begin + n; ++i) {
      if (!(row[i] > threshold)) continue;
      if (std::ssize(into) == count) {
        std::ranges::pop_heap(into, before);
        into.pop_back();
      }
      into.push_back({row[i], static_cast<int32_t>(i)});
      std::ranges::push_heap(into, before);
      if (std::ssize(into) == count) threshold = into.front().value;
    }
  }
  std::ranges::sort(into, before);
}

void apply_rules(const DecodingOptions& options, int32_t eos_id, std::span<const int32_t> tokens, double normalizer,
                 std::span<float> logits) {
  const auto generated = std::ssize(tokens) - 1;
  if (options.repetition_penalty != 1) {
    penalize(options.repetition_penalty, options.beam_size > 1 ? normalizer : 0, tokens, logits);
  }
  if (options.no_repeat_ngram_size > 0) exclude_ngrams(options.no_repeat_ngram_size, tokens, logits);
  for (const int32_t token : options.suppressed) logits[static_cast<size_t>(token)] = kExcluded;
  if (generated < options.min_tokens) logits[static_cast<size_t>(eos_id)] = kExcluded;
  if (options.forced_bos && generated == 0) force(*options.forced_bos, normalizer, logits);
  if (options.forced_eos && generated + 1 == options.max_tokens) force(*options.forced_eos, normalizer, logits);
}

}  // namespace qing::nn
