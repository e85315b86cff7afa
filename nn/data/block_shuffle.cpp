#include <qing/nn/data/block_shuffle.h>

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include <qing/nn/fingerprint.h>
#include <qing/tensor/errors.h>

namespace qing::nn {

BlockShuffle::BlockShuffle(std::vector<uint32_t> sizes, BlockShuffleOptions options)
    : sizes_(std::move(sizes)), options_(options), size_(std::accumulate(sizes_.begin(), sizes_.end(), size_t{0})) {
  if (options_.window == 0) throw ValueError("BlockShuffle: the window has 0 blocks; it must have at least 1");
}

void BlockShuffle::open_window(size_t window) {
  window_ = window;
  at_ = 0;
  places_.clear();
  const size_t end = std::min(order_.size(), window_begin(window + 1));
  for (size_t i = window_begin(window); i < end; ++i) {
    for (uint32_t row = 0; row < sizes_[order_[i]]; ++row) places_.push_back({order_[i], row});
  }
  const Generator of_epoch = generator_for(options_.seed, *epoch_, RandomUse::buffer);
  Generator rng = generator_for(of_epoch.seed(), window, RandomUse::buffer);
  shuffle(places_, rng);
}

void BlockShuffle::start(uint64_t epoch, size_t position) {
  if (epoch_ != epoch) {
    epoch_ = epoch;
    order_.resize(sizes_.size());
    std::iota(order_.begin(), order_.end(), uint32_t{0});
    Generator rng = generator_for(options_.seed, epoch, RandomUse::order);
    shuffle(order_, rng);
  }
  size_t window = 0, left = position;
  for (; window_begin(window) < order_.size(); ++window) {
    const auto first = order_.begin() + static_cast<std::ptrdiff_t>(window_begin(window));
    const auto last = order_.begin() + static_cast<std::ptrdiff_t>(std::min(order_.size(), window_begin(window + 1)));
    const size_t examples =
        std::accumulate(first, last, size_t{0}, [this](size_t sum, uint32_t block) { return sum + sizes_[block]; });
    if (left < examples) break;
    left -= examples;
  }
  open_window(window);
  at_ = std::min(left, places_.size());
}

std::optional<BlockShuffle::Place> BlockShuffle::next() {
  if (!epoch_) return std::nullopt;
  while (at_ == places_.size()) {
    if (window_begin(window_) >= order_.size()) return std::nullopt;
    open_window(window_ + 1);
  }
  return places_[at_++];
}

std::string BlockShuffle::description() const {
  return fmt::format("{} examples in {} blocks ({:016x}), blocks and windows of {} blocks in random order, seed {}",
                     size_, sizes_.size(), fingerprint(std::span<const uint32_t>(sizes_)), options_.window,
                     options_.seed);
}

}  // namespace qing::nn
