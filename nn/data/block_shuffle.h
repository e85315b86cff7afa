// The order of a data set that is too large to be shuffled as a whole: its blocks are shuffled, and then the examples
// of some blocks together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <qing/nn/data/sampler.h>

namespace qing::nn {

struct BlockShuffleOptions {
  uint64_t seed = 0;
  size_t window = 256;  ///< blocks whose examples are shuffled together
};

/// The examples of an epoch in random order. Blocks are numbered from 0.
///
/// 1. The blocks of epoch e are permuted by shuffle() with generator_for(seed, e, RandomUse::order).
/// 2. Each `window` consecutive blocks of that order are window w = 0, 1, ...; the last may have fewer.
/// 3. The examples of window w, block after block, are permuted by shuffle() with
///    generator_for(generator_for(seed, e, RandomUse::buffer).seed(), w, RandomUse::buffer).
///
/// A data set of at most `window` blocks is thus shuffled as a whole. Memory: 12 bytes a block and 8 bytes for each
/// example of a window. Going to any position costs one window. Not thread-safe.
class BlockShuffle {
 public:
  struct Place {
    uint32_t block, row;
    bool operator==(const Place&) const = default;
  };

  /// `sizes` are the numbers of examples of the blocks. ValueError for a window of 0 blocks.
  explicit BlockShuffle(std::vector<uint32_t> sizes, BlockShuffleOptions options = {});

  /// Goes to the example `position` of an epoch. A position behind the last one is the end.
  void start(uint64_t epoch, size_t position);
  std::optional<Place> next();           ///< Nothing at the end of the epoch, and before start().
  size_t size() const { return size_; }  ///< Examples of an epoch.
  std::string description() const;       ///< Everything but the epoch that the order depends on.

 private:
  size_t window_begin(size_t window) const { return window * options_.window; }  // in order_
  void open_window(size_t window);

  std::vector<uint32_t> sizes_;
  BlockShuffleOptions options_;
  size_t size_ = 0;
  std::optional<uint64_t> epoch_;
  std::vector<uint32_t> order_;  // of the blocks
  size_t window_ = 0, at_ = 0;   // the open window, and the next of its places
  std::vector<Place> places_;
};

}  // namespace qing::nn
