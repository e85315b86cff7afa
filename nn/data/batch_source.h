// Sources of a loader's batches: a Dataset read by a plan of indices, or an IterableDataset read in its own order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <qing/nn/data/batch_sampler.h>
#include <qing/nn/data/dataset.h>
#include <qing/nn/data/stream.h>

namespace qing::nn {

/// Makes a batch of the values. A collate function that draws at random also takes the number of its batch: see
/// generator_for().
template <class Value, class Collate>
decltype(auto) collated(const Collate& collate, std::vector<Value> values, const BatchNumber& number) {
  if constexpr (std::is_invocable_v<const Collate&, std::vector<Value>, const BatchNumber&>) {
    return collate(std::move(values), number);
  } else {
    return collate(std::move(values));
  }
}

/// The batches of an epoch as tasks. One thread at a time uses the source. The tasks may run on any threads at the same
/// time during the life of the source.
template <class Batch> class BatchSource {
 public:
  using Task = std::function<Batch()>;
  virtual ~BatchSource() = default;
  virtual void start(uint64_t epoch, size_t position) = 0;  ///< Goes to batch `position` of an epoch.
  virtual Task next() = 0;                                  ///< The work of the next batch; empty at the end.
  virtual std::optional<size_t> batches() const = 0;        ///< Of the started epoch; nothing when not known before.
  virtual std::optional<size_t> examples() const = 0;       ///< Of the data set; likewise.
  virtual std::string description() const = 0;  ///< Everything but data and epoch that the batches depend on.
};

/// Tasks with indices. The workers fetch the examples.
template <class Batch> class IndexedSource : public BatchSource<Batch> {
 public:
  using Fetch = std::function<Batch(std::span<const size_t>, const BatchNumber&)>;

  IndexedSource(std::shared_ptr<const BatchSampler> sampler, Fetch fetch)
      : sampler_(std::move(sampler)), fetch_(std::move(fetch)) {}

  void start(uint64_t epoch, size_t position) override {
    if (!epoch_ || *epoch_ != epoch) plan_ = sampler_->plan(epoch);
    epoch_ = epoch;
    next_ = position;
  }
  typename BatchSource<Batch>::Task next() override {
    if (next_ >= plan_.size()) return {};
    return [this, i = next_++] { return fetch_(plan_.batch(i), {*epoch_, i}); };
  }
  std::optional<size_t> batches() const override { return plan_.size(); }
  std::optional<size_t> examples() const override { return sampler_->dataset_size(); }
  std::string description() const override { return sampler_->description(); }

 private:
  std::shared_ptr<const BatchSampler> sampler_;
  Fetch fetch_;
  std::optional<uint64_t> epoch_;  // the epoch of the plan
  BatchPlan plan_;
  size_t next_ = 0;
};

struct StreamBatchOptions {
  size_t batch_size = 1;
  bool drop_last = false;
  size_t shuffle_buffer = 1;  ///< 1: in order
  uint64_t seed = 0;
  size_t rank = 0, world_size = 1;
  std::string description() const;
};

/// Tasks that own their examples. The examples are read one after another and collated by the workers. Starting in the
/// middle of an epoch reads the earlier examples again.
template <class Batch, IterableDataset S, class Collate> class StreamSource : public BatchSource<Batch> {
  using Value = typename S::value_type;

 public:
  StreamSource(S stream, Collate collate, const StreamBatchOptions& options)
      : stream_(ShardedStream<S>(std::move(stream), options.rank, options.world_size), options.shuffle_buffer,
                options.seed),
        collate_(std::move(collate)),
        options_(options) {}

  void start(uint64_t epoch, size_t position) override {
    stream_.reset(epoch);
    next_ = {epoch, position};
    // A position beyond the end occurs only in a damaged state and counts as the end.
    for (size_t i = 0; i < position && !take().empty(); ++i) {}
  }
  typename BatchSource<Batch>::Task next() override {
    auto values = std::make_shared<std::vector<Value>>(take());
    if (values->empty()) return {};
    const BatchNumber number = next_;
    ++next_.batch;
    return [this, number, values = std::move(values)] { return Batch(collated(collate_, std::move(*values), number)); };
  }
  std::optional<size_t> batches() const override { return std::nullopt; }
  std::optional<size_t> examples() const override { return std::nullopt; }
  std::string description() const override { return options_.description(); }

 private:
  std::vector<Value> take() {
    std::vector<Value> values;
    while (values.size() < options_.batch_size) {
      std::optional<Value> value = stream_.next();
      if (!value) break;
      values.push_back(*std::move(value));
    }
    if (options_.drop_last && values.size() < options_.batch_size) values.clear();
    return values;
  }

  ShuffledStream<ShardedStream<S>> stream_;
  Collate collate_;
  StreamBatchOptions options_;
  BatchNumber next_;
};

}  // namespace qing::nn
