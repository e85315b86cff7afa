// Augmentation: examples changed at random while a DataLoader prepares them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <qing/nn/data/batch_source.h>
#include <qing/nn/data/sampler.h>

namespace qing::nn {

/// A collate function that first calls augment(example, rng) on each example:
///
///   DataLoader loader(images, augmented(seed, flip_or_not, default_collate), {.batch_size = 32, .shuffle = true});
///
/// Each example has a generator of its own, a function of (seed, epoch, batch, place in the batch). What is drawn
/// therefore does not depend on the number of workers, on how much the other examples draw, or on a restart, and
/// differs in every epoch. augment returns the new example, of the same type or another. Workers call it at the same
/// time.
template <class Augment, class Collate> class Augmented {
 public:
  Augmented(uint64_t seed, Augment augment, Collate collate)
      : seed_(seed), augment_(std::move(augment)), collate_(std::move(collate)) {}

  template <class Value> auto operator()(std::vector<Value> values, const BatchNumber& number) const {
    using Result = decltype(augment_(std::move(values.front()), std::declval<Generator&>()));
    const uint64_t batch = generator_for(seed_, number).seed();
    std::vector<Result> changed;
    changed.reserve(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      Generator rng = generator_for(batch, i, RandomUse::augmentation);
      changed.push_back(augment_(std::move(values[i]), rng));
    }
    return collated(collate_, std::move(changed), number);
  }

 private:
  uint64_t seed_;
  Augment augment_;
  Collate collate_;
};

template <class Augment, class Collate>
Augmented<Augment, Collate> augmented(uint64_t seed, Augment augment, Collate collate) {
  return {seed, std::move(augment), std::move(collate)};
}

}  // namespace qing::nn
