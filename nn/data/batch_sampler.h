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
  int64_t max_tokens = 4096;    ///< maximum tokens per batch
  int64_t max_sequences = 0;    ///< maximum sequences per batch; 0: no limit
  int64_t window = 1024;        ///< number of examples that are sorted by length together
  bool padded = false;          ///< count each sequence with the length of the longest in its batch
  bool shuffle_batches = true;  ///< otherwise the batches of a window are in order of length
  uint64_t seed = 0;            ///< seed of the order of the batches
};

/// Batches bounded by a number of tokens. The sampler's order is cut into windows. Within each window, examples are
/// sorted by length and added to a batch while they fit. Then all batches of the epoch are shuffled. lengths[i] is the
/// number of tokens of example i. ValueError when an example alone exceeds max_tokens, for a length below 1, when there
/// is not one length per example, and for an option out of its range.
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
