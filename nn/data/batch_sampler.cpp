#include <qing/nn/data/batch_sampler.h>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <qing/nn/fingerprint.h>
#include <qing/tensor/errors.h>

namespace qing::nn {

FixedBatchSampler::FixedBatchSampler(std::shared_ptr<const Sampler> sampler, size_t batch_size, bool drop_last)
    : sampler_(std::move(sampler)), batch_size_(batch_size), drop_last_(drop_last) {
  if (!sampler_) throw ValueError("FixedBatchSampler: the sampler is null");
  if (batch_size == 0) throw ValueError("FixedBatchSampler: batch_size is 0; it must be at least 1");
}

BatchPlan FixedBatchSampler::plan(uint64_t epoch) const {
  BatchPlan plan;
  plan.indices = sampler_->indices(epoch);
  if (drop_last_) plan.indices.resize(plan.indices.size() / batch_size_ * batch_size_);
  while (plan.offsets.back() < plan.indices.size()) {
    plan.offsets.push_back(std::min(plan.offsets.back() + batch_size_, plan.indices.size()));
  }
  return plan;
}

std::string FixedBatchSampler::description() const {
  return fmt::format("batches of {}{}: {}", batch_size_, drop_last_ ? ", the last dropped" : "",
                     sampler_->description());
}

TokenBatchSampler::TokenBatchSampler(std::shared_ptr<const Sampler> sampler, std::vector<int64_t> lengths,
                                     TokenBatchOptions options)
    : sampler_(std::move(sampler)), lengths_(std::move(lengths)), options_(options) {
  if (!sampler_) throw ValueError("TokenBatchSampler: the sampler is null");
  const auto at_least = [](const char* name, int64_t value, int64_t low) {
    if (value < low)
      throw ValueError(fmt::format("TokenBatchSampler: {} is {}; it must be at least {}", name, value, low));
  };
  at_least("max_tokens", options_.max_tokens, 1);
  at_least("max_sequences", options_.max_sequences, 0);
  at_least("window", options_.window, 1);
  if (lengths_.size() != sampler_->dataset_size()) {
    throw ValueError(
        fmt::format("TokenBatchSampler: {} lengths for {} examples", lengths_.size(), sampler_->dataset_size()));
  }
  for (size_t i = 0; i < lengths_.size(); ++i) {
    if (lengths_[i] < 1 || lengths_[i] > options_.max_tokens) {
      throw ValueError(
          fmt::format("TokenBatchSampler: example {} has {} tokens; a batch takes 1 to {}: truncate or "
                      "remove it, or raise max_tokens",
                      i, lengths_[i], options_.max_tokens));
    }
  }
}

BatchPlan TokenBatchSampler::plan(uint64_t epoch) const {
  std::vector<size_t> indices = sampler_->indices(epoch);
  const auto window = static_cast<size_t>(options_.window);
  const auto max_sequences = static_cast<size_t>(options_.max_sequences);
  std::vector<std::span<const size_t>> batches;
  for (size_t begin = 0; begin < indices.size(); begin += window) {
    const std::span<size_t> part = std::span(indices).subspan(begin, std::min(window, indices.size() - begin));
    // Those of one length keep the sampler's order.
    std::stable_sort(part.begin(), part.end(), [&](size_t a, size_t b) { return lengths_[a] < lengths_[b]; });
    size_t first = 0;
    int64_t tokens = 0;
    for (size_t i = 0; i < part.size(); ++i) {
      const int64_t length = lengths_[part[i]];
      const auto count = static_cast<int64_t>(i - first);
      const bool fits =
          options_.padded ? length <= options_.max_tokens / (count + 1) : length <= options_.max_tokens - tokens;
      if (i > first && (!fits || (max_sequences > 0 && i - first == max_sequences))) {
        batches.push_back(part.subspan(first, i - first));
        first = i;
        tokens = 0;
      }
      tokens += length;
    }
    batches.push_back(part.subspan(first));
  }
  if (options_.shuffle_batches) {
    Generator rng = generator_for(options_.seed, epoch, RandomUse::batches);
    shuffle(batches, rng);
  }
  BatchPlan plan;
  plan.indices.reserve(indices.size());
  for (const auto& batch : batches) {
    plan.indices.insert(plan.indices.end(), batch.begin(), batch.end());
    plan.offsets.push_back(plan.indices.size());
  }
  return plan;
}

std::string TokenBatchSampler::description() const {
  return fmt::format("batches of up to {} {}tokens and {} sequences (0: any), windows of {}, {} (lengths {:016x}): {}",
                     options_.max_tokens, options_.padded ? "padded " : "", options_.max_sequences, options_.window,
                     options_.shuffle_batches ? fmt::format("shuffled with seed {}", options_.seed) : "sorted",
                     fingerprint(std::span<const int64_t>(lengths_)), sampler_->description());
}

}  // namespace qing::nn
