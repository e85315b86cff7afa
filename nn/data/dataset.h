// Data sets. A Dataset has random access, and an IterableDataset returns one example after another. Both are concepts,
// so any class with the members is one. The data sets below are built from others or from data in memory. They are
// values that are cheap to copy, because copies share the data.
#pragma once

#include <algorithm>
#include <concepts>
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

#include <qing/tensor/errors.h>

namespace qing::nn {

/// get(i) for i < size() returns a value. Several threads call it at once when a loader has workers.
template <class D>
concept Dataset = requires(const D& dataset, size_t i) {
  typename D::value_type;
  { dataset.size() } -> std::convertible_to<size_t>;
  { dataset.get(i) } -> std::convertible_to<typename D::value_type>;
};

/// reset(epoch) goes to the first example of an epoch. next() returns the examples, then nullopt. The examples of an
/// epoch must be the same in every pass, because resuming depends on it. One thread at a time uses it.
template <class D>
concept IterableDataset = requires(D& dataset, uint64_t epoch) {
  typename D::value_type;
  dataset.reset(epoch);
  { dataset.next() } -> std::same_as<std::optional<typename D::value_type>>;
};

/// IndexError "op: index ..." unless i < size.
void check_index(size_t i, size_t size, const char* op);

/// The values of a vector.
template <class T> class VectorDataset {
 public:
  using value_type = T;
  explicit VectorDataset(std::vector<T> values) : values_(std::make_shared<const std::vector<T>>(std::move(values))) {}
  size_t size() const { return values_->size(); }
  const T& get(size_t i) const {
    check_index(i, size(), "VectorDataset");
    return (*values_)[i];
  }

 private:
  std::shared_ptr<const std::vector<T>> values_;
};

/// A view of values that must outlive the data set.
template <class T> class SpanDataset {
 public:
  using value_type = T;
  explicit SpanDataset(std::span<const T> values) : values_(values) {}
  size_t size() const { return values_.size(); }
  const T& get(size_t i) const {
    check_index(i, size(), "SpanDataset");
    return values_[i];
  }

 private:
  std::span<const T> values_;
};

/// transform(example) of each example, computed on request by the requesting thread.
template <Dataset D, class F> class MappedDataset {
 public:
  using value_type = std::decay_t<std::invoke_result_t<const F&, typename D::value_type>>;
  MappedDataset(D dataset, F transform) : dataset_(std::move(dataset)), transform_(std::move(transform)) {}
  size_t size() const { return dataset_.size(); }
  value_type get(size_t i) const { return transform_(dataset_.get(i)); }

 private:
  D dataset_;
  F transform_;
};

/// Several data sets, one after another.
template <Dataset D> class ConcatDataset {
 public:
  using value_type = typename D::value_type;
  explicit ConcatDataset(std::vector<D> datasets) : datasets_(std::move(datasets)) {
    for (const D& dataset : datasets_) ends_.push_back(size() + dataset.size());
  }
  size_t size() const { return ends_.empty() ? 0 : ends_.back(); }
  value_type get(size_t i) const {
    check_index(i, size(), "ConcatDataset");
    const auto which = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), i) - ends_.begin());
    return datasets_[which].get(which == 0 ? i : i - ends_[which - 1]);
  }

 private:
  std::vector<D> datasets_;
  std::vector<size_t> ends_;  // cumulative sizes
};

/// The examples at these indices, in this order. IndexError when an index is out of range.
template <Dataset D> class Subset {
 public:
  using value_type = typename D::value_type;
  Subset(D dataset, std::vector<size_t> indices)
      : dataset_(std::move(dataset)), indices_(std::make_shared<const std::vector<size_t>>(std::move(indices))) {
    for (const size_t i : *indices_) check_index(i, dataset_.size(), "Subset");
  }
  size_t size() const { return indices_->size(); }
  value_type get(size_t i) const {
    check_index(i, size(), "Subset");
    return dataset_.get((*indices_)[i]);
  }
  const std::vector<size_t>& indices() const { return *indices_; }

 private:
  D dataset_;
  std::shared_ptr<const std::vector<size_t>> indices_;
};

/// Returns disjoint random index lists that together are 0..size-1. `lengths` are counts that sum to `size`, or shares
/// that sum to 1. With shares, each list gets the integer part of its share, and the first lists get one more each
/// until all are used, as in PyTorch. ValueError otherwise.
std::vector<std::vector<size_t>> random_split_indices(size_t size, std::span<const double> lengths, uint64_t seed);

/// Splits a data set at random. The split is a function of the size, the lengths and the seed.
template <Dataset D>
std::vector<Subset<D>> random_split(const D& dataset, const std::vector<double>& lengths, uint64_t seed = 0) {
  std::vector<Subset<D>> parts;
  for (auto& indices : random_split_indices(dataset.size(), lengths, seed)) {
    parts.emplace_back(dataset, std::move(indices));
  }
  return parts;
}

}  // namespace qing::nn
