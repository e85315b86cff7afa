// DataLoader: shuffled batches of a data set, made by a collate function, prepared ahead by worker threads, and
// resumable between any two batches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <qing/nn/data/batch_source.h>
#include <qing/nn/data/prefetcher.h>

namespace qing::nn {

/// Names and defaults are those of torch.utils.data.DataLoader, if it has the option.
struct DataLoaderOptions {
  int64_t batch_size = 1;
  bool shuffle = false;         ///< use a new order in each epoch, a function of (seed, epoch)
  bool drop_last = false;       ///< leave out a smaller last batch
  uint64_t seed = 0;            ///< seed of the order
  int64_t num_workers = 0;      ///< threads that prepare batches ahead; 0: the caller prepares each when it asks
  int64_t prefetch_factor = 2;  ///< batches prepared ahead by each worker
  int64_t rank = 0;             ///< this process takes every world_size-th example of the order
  int64_t world_size = 1;
  int64_t shuffle_buffer = 10000;  ///< iterable data sets: examples among which `shuffle` shuffles
};

/// The position of a loader, to be kept as text with a model's checkpoint.
struct LoaderState {
  uint64_t epoch = 0;
  uint64_t position = 0;             ///< batches of the epoch that were handed out
  std::optional<uint64_t> examples;  ///< of the data set; nothing for an iterable one
  std::string batches;               ///< what the batches depend on, seeds included, as text

  std::string to_json() const;
  static LoaderState from_json(std::string_view text);  ///< DataError
  /// ValueError with the difference unless `saved` is the state of a loader with the same data and options.
  void check_like(const LoaderState& saved) const;
};

/// The options themselves; ValueError naming one out of its domain.
const DataLoaderOptions& checked(const DataLoaderOptions& options);
/// Fixed-size batches of this rank's share, in order or shuffled.
std::shared_ptr<const BatchSampler> make_batch_sampler(size_t dataset_size, const DataLoaderOptions& options);

/// The options as a StreamSource takes them; ValueError as above.
StreamBatchOptions stream_options(const DataLoaderOptions& options);
/// ValueError for a null sampler, and for a sampler of a data set without `size` examples.
void check_dataset_size(const BatchSampler* sampler, size_t size);

/// Hands out the batches of one epoch after another:
///
///   DataLoader loader(dataset, collate, {.batch_size = 32, .shuffle = true, .num_workers = 2});
///   while (loader.epoch() < epochs) {
///     for (Batch& batch : loader) { ... }  // the rest of the epoch, usually the whole epoch
///   }
///
/// collate takes a vector of examples and returns a Batch. If it draws at random, it also takes a `const BatchNumber&`
/// and draws from generator_for(seed, number), so that the draws depend only on the batch. The workers call collate and
/// Dataset::get at the same time. Batches and their order depend only on the data, the options and the epoch, not on
/// num_workers or prefetch_factor. An exception of a worker is rethrown in place of its batch. The loader then stays
/// before that batch, and the next call tries it again. The destructor waits only for the batches that are being
/// prepared. One thread at a time may use a loader.
template <class Batch> class DataLoader {
 public:
  /// From a data set with random access.
  template <Dataset D, class Collate>
  DataLoader(D dataset, Collate collate, const DataLoaderOptions& options = {})
      : DataLoader(indexed(dataset, std::move(collate), make_batch_sampler(dataset.size(), options)), options) {}

  /// From a batch sampler, e.g. with batches bounded by tokens. Of the options only those of the workers apply.
  /// ValueError unless the sampler is for a data set of this size.
  template <Dataset D, class Collate>
  DataLoader(D dataset, Collate collate, std::shared_ptr<const BatchSampler> batch_sampler,
             const DataLoaderOptions& options = {})
      : DataLoader(indexed(dataset, std::move(collate), std::move(batch_sampler)), options) {}

  /// From an iterable data set. With `shuffle` examples are shuffled within a buffer. Resuming reads the earlier part
  /// of the epoch again. With ranks, one process may get one batch more than another.
  template <IterableDataset S, class Collate>
  requires(!Dataset<S>) DataLoader(S stream, Collate collate, const DataLoaderOptions& options = {})
      : DataLoader(streamed(std::move(stream), std::move(collate), options), options) {}

  /// From any source of batches. Of the options only those of the workers apply.
  explicit DataLoader(std::shared_ptr<BatchSource<Batch>> source, const DataLoaderOptions& options = {})
      : source_(std::move(source)),
        num_workers_(static_cast<size_t>(checked(options).num_workers)),
        capacity_(num_workers_ * static_cast<size_t>(options.prefetch_factor)) {}

  /// Returns the next batch, or nullopt once at the end of each epoch. The call after that begins the next epoch.
  std::optional<Batch> next() {
    if (!started_) start();
    std::optional<Batch> batch;
    try {
      batch = take();
    } catch (...) {
      rewind(epoch_, position_);
      throw;
    }
    if (batch) {
      ++position_;
    } else {
      rewind(epoch_ + 1, 0);
    }
    return batch;
  }

  /// An input iterator over the rest of the epoch. After an early exit from the loop the loader continues behind the
  /// last batch.
  class Iterator {
   public:
    using value_type = Batch;
    using difference_type = ptrdiff_t;
    explicit Iterator(DataLoader* loader) : loader_(loader), batch_(loader->next()) {}
    Batch& operator*() const { return *batch_; }
    Batch* operator->() const { return &*batch_; }
    Iterator& operator++() {
      batch_ = loader_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !batch_; }

   private:
    DataLoader* loader_;
    mutable std::optional<Batch> batch_;
  };
  Iterator begin() { return Iterator(this); }
  std::default_sentinel_t end() const { return {}; }

  uint64_t epoch() const { return epoch_; }      ///< From 0; the epoch of the next batch.
  size_t position() const { return position_; }  ///< Batches of the epoch handed out so far.
  /// Number of batches of the epoch; nullopt for an iterable data set.
  std::optional<size_t> size() {
    if (!started_) start();
    return source_->batches();
  }
  void set_epoch(uint64_t epoch) { rewind(epoch, 0); }  ///< Goes to the beginning of an epoch.

  /// Returns the position as one line of JSON. It may be called between any two batches. Batches that are prepared but
  /// not handed out do not count.
  std::string state() const { return here().to_json(); }
  /// Continues from a saved state: the next batch is the one that would have come then. After the last batch of an
  /// epoch that is the epoch's end. DataError for a text that is not a state. ValueError, with nothing changed, for a
  /// state with another data set size, other batches or another seed.
  void load_state(std::string_view text) {
    const LoaderState saved = LoaderState::from_json(text);
    here().check_like(saved);
    const auto [epoch, position] = std::pair(epoch_, position_);
    rewind(saved.epoch, saved.position);
    if (!saved.examples) return;  // the number of batches is unknown without reading everything
    source_->start(epoch_, position_);
    if (const size_t batches = *source_->batches(); saved.position > batches) {
      rewind(epoch, position);
      throw ValueError("DataLoader::load_state: position " + std::to_string(saved.position) + " of an epoch of " +
                       std::to_string(batches) + " batches; the state was edited or is damaged");
    }
  }

 private:
  // Shared with the workers, which may still run when another loader is assigned to this one.
  using Source = std::shared_ptr<BatchSource<Batch>>;

  template <class D, class Collate>
  static Source indexed(D dataset, Collate collate, std::shared_ptr<const BatchSampler> sampler) {
    check_dataset_size(sampler.get(), dataset.size());
    auto fetch = [dataset = std::move(dataset), collate = std::move(collate)](std::span<const size_t> indices,
                                                                              const BatchNumber& number) {
      std::vector<typename D::value_type> values;
      values.reserve(indices.size());
      for (const size_t i : indices) values.push_back(dataset.get(i));
      return Batch(collated(collate, std::move(values), number));
    };
    return std::make_shared<IndexedSource<Batch>>(std::move(sampler), std::move(fetch));
  }

  template <class S, class Collate>
  static Source streamed(S stream, Collate collate, const DataLoaderOptions& options) {
    return std::make_shared<StreamSource<Batch, S, Collate>>(std::move(stream), std::move(collate),
                                                             stream_options(options));
  }

  LoaderState here() const { return {epoch_, position_, source_->examples(), source_->description()}; }

  void start() {
    source_->start(epoch_, position_);
    if (num_workers_ > 0) {
      workers_ =
          std::make_unique<Prefetcher<Batch>>([source = source_] { return source->next(); }, num_workers_, capacity_);
    }
    started_ = true;
  }

  std::optional<Batch> take() {
    if (workers_) return workers_->next();
    const auto task = source_->next();
    return task ? std::optional<Batch>(task()) : std::nullopt;
  }

  // The workers stop before the source moves; the next batch starts both again.
  void rewind(uint64_t epoch, size_t position) {
    workers_.reset();
    started_ = false;
    epoch_ = epoch;
    position_ = position;
  }

  Source source_;
  size_t num_workers_, capacity_;
  uint64_t epoch_ = 0;
  size_t position_ = 0;
  bool started_ = false;
  std::unique_ptr<Prefetcher<Batch>> workers_;  // declared after the members it uses, so that it is destroyed first
};

/// The result type of a collate function.
template <class D, class Collate>
using BatchOf = std::decay_t<decltype(collated(std::declval<const Collate&>(),
                                               std::declval<std::vector<typename D::value_type>>(), BatchNumber{}))>;

template <Dataset D, class Collate>
DataLoader(D, Collate, const DataLoaderOptions& = {}) -> DataLoader<BatchOf<D, Collate>>;
template <Dataset D, class Collate>
DataLoader(D, Collate, std::shared_ptr<const BatchSampler>, const DataLoaderOptions& = {})
    -> DataLoader<BatchOf<D, Collate>>;
template <IterableDataset S, class Collate>
requires(!Dataset<S>) DataLoader(S, Collate, const DataLoaderOptions& = {})
->DataLoader<BatchOf<S, Collate>>;

}  // namespace qing::nn
