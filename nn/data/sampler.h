// Samplers: the indices of the examples of an epoch, in order. They are a function of (seed, epoch), by Philox, and
// depend neither on earlier epochs nor on threads. Samplers are immutable, hence thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <qing/tensor/random.h>

namespace qing::nn {

/// What random numbers are drawn for: each use has its own stream.
enum class RandomUse : uint32_t { order, batches, buffer, collate, augmentation };
/// A generator of its own for each (seed, epoch, use).
Generator generator_for(uint64_t seed, uint64_t epoch, RandomUse use);

/// The number of a batch in its epoch, and of the epoch; both count from 0.
struct BatchNumber {
  uint64_t epoch = 0, batch = 0;
};
/// Returns an independent generator for each batch, for collate functions that draw at random.
Generator generator_for(uint64_t seed, const BatchNumber& number);

/// Permutes the values at random (Fisher & Yates).
template <class T> void shuffle(std::vector<T>& values, Generator& rng) {
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[rng.below(i)]);
}

class Sampler {
 public:
  virtual ~Sampler() = default;
  /// The examples of an epoch, in the order in which it takes them.
  virtual std::vector<size_t> indices(uint64_t epoch) const = 0;
  virtual size_t size() const = 0;          ///< The number of indices of an epoch.
  virtual size_t dataset_size() const = 0;  ///< Every index is below it.
  /// Everything but the epoch that the indices depend on, as text. A loader's state holds it, so that only a loader
  /// with the same data and options resumes it.
  virtual std::string description() const = 0;
};

/// 0, 1, ..., size-1.
class SequentialSampler : public Sampler {
 public:
  explicit SequentialSampler(size_t size) : size_(size) {}
  std::vector<size_t> indices(uint64_t epoch) const override;
  size_t size() const override { return size_; }
  size_t dataset_size() const override { return size_; }
  std::string description() const override;

 private:
  size_t size_;
};

struct RandomSamplerOptions {
  bool replacement = false;  ///< draw each index from all examples
  size_t num_samples = 0;    ///< number of samples per epoch; 0: the number of examples
  uint64_t seed = 0;
};

/// A random permutation, or draws with replacement. Without replacement and with more samples than examples, several
/// permutations follow each other, as in PyTorch. ValueError for samples without examples.
class RandomSampler : public Sampler {
 public:
  explicit RandomSampler(size_t size, RandomSamplerOptions options = {});
  std::vector<size_t> indices(uint64_t epoch) const override;
  size_t size() const override { return options_.num_samples; }
  size_t dataset_size() const override { return size_; }
  std::string description() const override;

 private:
  size_t size_;
  RandomSamplerOptions options_;
};

/// Draws index i with a probability proportional to weights[i]. With replacement it bisects the cumulative weights,
/// O(log n) per draw. Without replacement it follows Efraimidis & Spirakis, "Weighted random sampling with a
/// reservoir", 2006. ValueError for a negative or infinite weight or NaN, without positive weights, or, without
/// replacement, for fewer positive weights than samples.
class WeightedRandomSampler : public Sampler {
 public:
  WeightedRandomSampler(std::vector<double> weights, size_t num_samples, bool replacement = true, uint64_t seed = 0);
  std::vector<size_t> indices(uint64_t epoch) const override;
  size_t size() const override { return num_samples_; }
  size_t dataset_size() const override { return weights_.size(); }
  std::string description() const override;

 private:
  std::vector<double> weights_, sums_;
  size_t num_samples_;
  bool replacement_;
  uint64_t seed_;
};

/// Draws every class with equal probability: the weight of an example is 1 / the count of its label. An epoch has as
/// many samples as there are examples.
WeightedRandomSampler class_balanced_sampler(std::span<const int32_t> labels, uint64_t seed = 0);

/// The share of the process `rank` of `world_size` in another sampler's indices: every world_size-th one. All processes
/// get equally many: the indices are repeated from the front to fill up, or cut with drop_last. ValueError unless rank
/// < world_size.
class DistributedSampler : public Sampler {
 public:
  DistributedSampler(std::shared_ptr<const Sampler> sampler, size_t rank, size_t world_size, bool drop_last = false);
  std::vector<size_t> indices(uint64_t epoch) const override;
  size_t size() const override;
  size_t dataset_size() const override { return sampler_->dataset_size(); }
  std::string description() const override;

 private:
  std::shared_ptr<const Sampler> sampler_;
  size_t rank_, world_size_;
  bool drop_last_;
};

}  // namespace qing::nn
