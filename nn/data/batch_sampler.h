// Batch samplers: the batches of an epoch, as lists of indices. They are immutable, hence thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/sampler.h>

namespace qing::nn {

/// The batches of an epoch: lists of indices end to end, and the offset of each.
struct BatchPlan {
  std::vector<size_t> indices;
  std::vector<size_t> offsets = {0};  ///< [batches + 1]
  size_t size() const { return offsets.size() - 1; }
  std::span<const size_t> batch(size_t i) const {
    return std::span(indices).subspan(offsets[i], offsets[i + 1] - offsets[i]);
  }
};

class BatchSampler {
 public:
  virtual ~BatchSampler() = default;
  virtual BatchPlan plan(uint64_t epoch) const = 0;
  virtual size_t dataset_size() const = 0;  ///< Every index is below.
  /// Everything but the epoch that the plan depends on, as text.
  virtual std::string description() const = 0;
};

/// Batches of batch_size indices in the sampler's order. The last batch is smaller, or dropped with drop_last.
/// ValueError for size 0.
class FixedBatchSampler : public BatchSampler {
 public:
  FixedBatchSampler(std::shared_ptr<const Sampler> sampler, size_t batch_size, bool drop_last = false);
  BatchPlan plan(uint64_t epoch) const override;
  size_t dataset_size() const override { return sampler_->dataset_size(); }
  std::string description() const override;

 private:
  std::shared_ptr<const Sampler> sampler_;
  size_t batch_size_;
  bool drop_last_;
};

struct TokenBatchOptions {
  int64_t max_tokens = 4096;    ///< of a batch
  int64_t max_sequences = 0;    ///< of a batch; 0: any number
  int64_t window = 1024;        ///< examples among which those of similar length are put together
  bool padded = false;          ///< count each sequence as long as the batch's longest
  bool shuffle_batches = true;  ///< else the batches of a window come from short to long
  uint64_t seed = 0;            ///< of the order of the batches
};

/// Batches bounded by a number of tokens. The sampler's order is cut into windows; within each, examples are sorted by
/// length and taken into a batch while they fit; then all batches of the epoch are shuffled. lengths[i] is the count of
/// tokens of example i. ValueError when an example alone exceeds max_tokens, for a length below 1, for another count of
/// lengths than the sampler has examples, or an option out of its domain.
class TokenBatchSampler : public BatchSampler {
 public:
  TokenBatchSampler(std::shared_ptr<const Sampler> sampler, std::vector<int64_t> lengths,
                    TokenBatchOptions options = {});
  BatchPlan plan(uint64_t epoch) const override;
  size_t dataset_size() const override { return sampler_->dataset_size(); }
  std::string description() const override;

 private:
  std::shared_ptr<const Sampler> sampler_;
  std::vector<int64_t> lengths_;
  TokenBatchOptions options_;
};

}  // namespace qing::nn
