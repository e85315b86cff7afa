// Iterable data sets: examples that are read one after another, for example from files larger than memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <qing/nn/data/dataset.h>
#include <qing/nn/data/sampler.h>

namespace qing::nn {

/// Reads files one after another in each epoch. open(path) returns a reader, whose next() returns an optional value,
/// such as RecordReader or ExampleReader. Its exceptions are passed on. Copies share their place in the current file.
template <class Open> class FileStream {
  using Reader = std::invoke_result_t<Open&, const std::filesystem::path&>;

 public:
  using value_type = typename decltype(std::declval<Reader&>().next())::value_type;
  FileStream(std::vector<std::filesystem::path> files, Open open) : files_(std::move(files)), open_(std::move(open)) {}

  void reset(uint64_t) {
    reader_.reset();
    next_file_ = 0;
  }
  std::optional<value_type> next() {
    for (;;) {
      if (reader_) {
        if (std::optional<value_type> value = reader_->next()) return value;
      }
      reader_.reset();
      if (next_file_ == files_.size()) return std::nullopt;
      reader_ = std::make_shared<Reader>(open_(files_[next_file_]));
      ++next_file_;
    }
  }

 private:
  std::vector<std::filesystem::path> files_;
  Open open_;
  std::shared_ptr<Reader> reader_;  // a reader cannot be copied, though the data set can
  size_t next_file_ = 0;
};

/// transform(example) of each example.
template <IterableDataset S, class F> class MappedStream {
 public:
  using value_type = std::decay_t<std::invoke_result_t<F&, typename S::value_type>>;
  MappedStream(S stream, F transform) : stream_(std::move(stream)), transform_(std::move(transform)) {}
  void reset(uint64_t epoch) { stream_.reset(epoch); }
  std::optional<value_type> next() {
    auto value = stream_.next();
    if (!value) return std::nullopt;
    return transform_(*std::move(value));
  }

 private:
  S stream_;
  F transform_;
};

/// Every world_size-th example, starting with number `rank`. ValueError unless rank < world_size.
template <IterableDataset S> class ShardedStream {
 public:
  using value_type = typename S::value_type;
  ShardedStream(S stream, size_t rank, size_t world_size)
      : stream_(std::move(stream)), rank_(rank), world_size_(world_size) {
    if (rank >= world_size)
      throw ValueError("ShardedStream: the rank must be below the world size; ranks count from 0");
  }
  void reset(uint64_t epoch) {
    stream_.reset(epoch);
    number_ = 0;
  }
  std::optional<value_type> next() {
    for (;;) {
      auto value = stream_.next();
      if (!value || number_++ % world_size_ == rank_) return value;
    }
  }

 private:
  S stream_;
  size_t rank_, world_size_;
  size_t number_ = 0;
};

/// Shuffles within a buffer of `size` examples: returns a random example of the buffer and replaces it by the next one.
/// The order is a function of (seed, epoch). ValueError for size 0. Size 1 keeps the order.
template <IterableDataset S> class ShuffledStream {
 public:
  using value_type = typename S::value_type;
  ShuffledStream(S stream, size_t size, uint64_t seed = 0)
      : stream_(std::move(stream)), size_(size), seed_(seed), rng_(generator_for(seed, 0, RandomUse::buffer)) {
    if (size == 0) throw ValueError("ShuffledStream: the buffer's size is 0; it must be at least 1");
  }
  void reset(uint64_t epoch) {
    stream_.reset(epoch);
    buffer_.clear();
    rng_ = generator_for(seed_, epoch, RandomUse::buffer);
  }
  std::optional<value_type> next() {
    std::optional<value_type> value;
    while (buffer_.size() < size_ && (value = stream_.next())) buffer_.push_back(*std::move(value));
    if (buffer_.empty()) return std::nullopt;
    std::swap(buffer_[rng_.below(buffer_.size())], buffer_.back());
    value = std::move(buffer_.back());
    buffer_.pop_back();
    return value;
  }

 private:
  S stream_;
  size_t size_;
  uint64_t seed_;
  std::vector<value_type> buffer_;
  Generator rng_;
};

}  // namespace qing::nn
