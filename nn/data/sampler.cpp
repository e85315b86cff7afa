#include <qing/nn/data/sampler.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include <qing/nn/fingerprint.h>
#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

double uniform(Generator& rng) { return static_cast<double>(rng.next_u64() >> 11) * 0x1p-53; }  // [0, 1)

}  // namespace

Generator generator_for(uint64_t seed, uint64_t epoch, RandomUse use) {
  const auto words =
      philox4x32({static_cast<uint32_t>(epoch), static_cast<uint32_t>(epoch >> 32), static_cast<uint32_t>(use), 0},
                 {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  return Generator(static_cast<uint64_t>(words[0]) << 32 | words[1]);
}

Generator generator_for(uint64_t seed, const BatchNumber& number) {
  const Generator epoch = generator_for(seed, number.epoch, RandomUse::collate);
  return generator_for(epoch.seed(), number.batch, RandomUse::collate);
}

std::vector<size_t> SequentialSampler::indices(uint64_t) const {
  std::vector<size_t> indices(size_);
  std::iota(indices.begin(), indices.end(), size_t{0});
  return indices;
}

std::string SequentialSampler::description() const { return fmt::format("{} examples in order", size_); }

RandomSampler::RandomSampler(size_t size, RandomSamplerOptions options) : size_(size), options_(options) {
  if (size == 0 && options.num_samples > 0) {
    throw ValueError(fmt::format("RandomSampler: {} samples without examples", options.num_samples));
  }
  if (options_.num_samples == 0) options_.num_samples = size;
}

std::vector<size_t> RandomSampler::indices(uint64_t epoch) const {
  Generator rng = generator_for(options_.seed, epoch, RandomUse::order);
  std::vector<size_t> indices;
  indices.reserve(options_.num_samples);
  if (options_.replacement) {
    while (indices.size() < options_.num_samples) indices.push_back(rng.below(size_));
    return indices;
  }
  std::vector<size_t> permutation = SequentialSampler(size_).indices(epoch);
  while (indices.size() < options_.num_samples) {
    shuffle(permutation, rng);
    const size_t count = std::min(size_, options_.num_samples - indices.size());
    indices.insert(indices.end(), permutation.begin(), permutation.begin() + static_cast<ptrdiff_t>(count));
  }
  return indices;
}

std::string RandomSampler::description() const {
  return fmt::format("{} random samples of {} examples {} replacement, seed {}", options_.num_samples, size_,
                     options_.replacement ? "with" : "without", options_.seed);
}

WeightedRandomSampler::WeightedRandomSampler(std::vector<double> weights, size_t num_samples, bool replacement,
                                             uint64_t seed)
    : weights_(std::move(weights)), num_samples_(num_samples), replacement_(replacement), seed_(seed) {
  double sum = 0;
  size_t positive = 0;
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (!(weights_[i] >= 0) || !std::isfinite(weights_[i])) {
      throw ValueError(
          fmt::format("WeightedRandomSampler: weight {} is {}; weights are finite and not negative", i, weights_[i]));
    }
    positive += weights_[i] > 0;
    sums_.push_back(sum += weights_[i]);
  }
  if (positive == 0 || !std::isfinite(sum)) {
    throw ValueError(fmt::format("WeightedRandomSampler: the weights sum to {}; the sum is finite and positive", sum));
  }
  if (!replacement_ && num_samples_ > positive) {
    throw ValueError(
        fmt::format("WeightedRandomSampler: {} samples without replacement of {} examples of a positive "
                    "weight; draw fewer, or with replacement",
                    num_samples_, positive));
  }
}

std::vector<size_t> WeightedRandomSampler::indices(uint64_t epoch) const {
  Generator rng = generator_for(seed_, epoch, RandomUse::order);
  std::vector<size_t> indices;
  if (replacement_) {
    // The first cumulative sum above the number belongs to a positive weight. A number rounded up to the whole sum
    // would be past the last one.
    const double below_all = std::nextafter(sums_.back(), 0.0);
    while (indices.size() < num_samples_) {
      const double at = std::min(uniform(rng) * sums_.back(), below_all);
      indices.push_back(static_cast<size_t>(std::upper_bound(sums_.begin(), sums_.end(), at) - sums_.begin()));
    }
    return indices;
  }
  std::vector<std::pair<double, size_t>> keys;
  keys.reserve(weights_.size());
  for (size_t i = 0; i < weights_.size(); ++i) {
    const double waiting = -std::log1p(-uniform(rng));  // exponentially distributed
    if (weights_[i] > 0) keys.emplace_back(waiting / weights_[i], i);
  }
  std::partial_sort(keys.begin(), keys.begin() + static_cast<ptrdiff_t>(num_samples_), keys.end());
  for (size_t i = 0; i < num_samples_; ++i) indices.push_back(keys[i].second);
  return indices;
}

std::string WeightedRandomSampler::description() const {
  return fmt::format("{} weighted samples of {} examples (weights {:016x}) {} replacement, seed {}", num_samples_,
                     weights_.size(), fingerprint(std::span<const double>(weights_)), replacement_ ? "with" : "without",
                     seed_);
}

WeightedRandomSampler class_balanced_sampler(std::span<const int32_t> labels, uint64_t seed) {
  std::map<int32_t, size_t> counts;
  for (const int32_t label : labels) ++counts[label];
  std::vector<double> weights;
  weights.reserve(labels.size());
  for (const int32_t label : labels) weights.push_back(1.0 / static_cast<double>(counts[label]));
  return {std::move(weights), labels.size(), true, seed};
}

DistributedSampler::DistributedSampler(std::shared_ptr<const Sampler> sampler, size_t rank, size_t world_size,
                                       bool drop_last)
    : sampler_(std::move(sampler)), rank_(rank), world_size_(world_size), drop_last_(drop_last) {
  if (!sampler_) throw ValueError("DistributedSampler: the sampler is null");
  if (rank >= world_size) {
    throw ValueError(fmt::format("DistributedSampler: rank {} of a world of {}; ranks count from 0", rank, world_size));
  }
}

size_t DistributedSampler::size() const {
  return (sampler_->size() + (drop_last_ ? 0 : world_size_ - 1)) / world_size_;
}

std::vector<size_t> DistributedSampler::indices(uint64_t epoch) const {
  const std::vector<size_t> all = sampler_->indices(epoch);
  std::vector<size_t> own(size());
  for (size_t i = 0; i < own.size(); ++i) own[i] = all[(i * world_size_ + rank_) % all.size()];
  return own;
}

std::string DistributedSampler::description() const {
  return fmt::format("rank {} of {}{} of {}", rank_, world_size_, drop_last_ ? ", the last dropped," : "",
                     sampler_->description());
}

}  // namespace qing::nn
