#include <gtest/gtest.h>
#include <qing/nn/data/block_shuffle.h>
#include <qing/tensor/errors.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

namespace qing::nn {
namespace {

using Place = BlockShuffle::Place;

const std::vector<uint32_t> kSizes = {5, 1, 7, 3, 4, 0, 6, 2};

std::vector<Place> rest(BlockShuffle& shuffle) {
  std::vector<Place> places;
  while (const auto place = shuffle.next()) places.push_back(*place);
  return places;
}

std::vector<Place> epoch_of(const BlockShuffleOptions& options, uint64_t epoch, size_t position = 0) {
  BlockShuffle shuffle(kSizes, options);
  shuffle.start(epoch, position);
  return rest(shuffle);
}

TEST(BlockShuffle, AnEpochHasEachExampleOnce) {
  for (const size_t window : {1u, 3u, 8u, 100u}) {
    const std::vector<Place> places = epoch_of({.seed = 1, .window = window}, 4);
    std::set<std::pair<uint32_t, uint32_t>> found;
    for (const Place& place : places) {
      ASSERT_LT(place.row, kSizes[place.block]);
      found.emplace(place.block, place.row);
    }
    EXPECT_EQ(places.size(), 28u);
    EXPECT_EQ(found.size(), 28u);
  }
}

TEST(BlockShuffle, AnyPositionIsReachedWithoutThoseBeforeIt) {
  for (const size_t window : {1u, 3u, 100u}) {
    const std::vector<Place> all = epoch_of({.seed = 1, .window = window}, 2);
    for (size_t position = 0; position <= all.size() + 2; ++position) {
      const std::vector<Place> expected(all.begin() + static_cast<ptrdiff_t>(std::min(position, all.size())),
                                        all.end());
      EXPECT_EQ(epoch_of({.seed = 1, .window = window}, 2, position), expected) << window << " " << position;
    }
  }
}

TEST(BlockShuffle, TheOrderIsAFunctionOfSeedAndEpoch) {
  const auto first = epoch_of({.seed = 1, .window = 3}, 0);
  EXPECT_EQ(epoch_of({.seed = 1, .window = 3}, 0), first);
  EXPECT_NE(epoch_of({.seed = 1, .window = 3}, 1), first);
  EXPECT_NE(epoch_of({.seed = 2, .window = 3}, 0), first);
  BlockShuffle shuffle(kSizes, {.seed = 1, .window = 3});
  shuffle.start(7, 3);
  rest(shuffle);
  shuffle.start(0, 0);
  EXPECT_EQ(rest(shuffle), first);
}

// The order by the words of the header, written down a second time.
TEST(BlockShuffle, TheOrderIsTheOneThatTheHeaderDefines) {
  constexpr uint64_t kSeed = 9, kEpoch = 3;
  constexpr size_t kWindow = 2;
  std::vector<uint32_t> blocks(kSizes.size());
  std::iota(blocks.begin(), blocks.end(), 0U);
  Generator of_blocks = generator_for(kSeed, kEpoch, RandomUse::order);
  shuffle(blocks, of_blocks);
  std::vector<Place> expected;
  for (size_t w = 0; w * kWindow < blocks.size(); ++w) {
    std::vector<Place> places;
    for (size_t i = w * kWindow; i < (w + 1) * kWindow; ++i) {
      for (uint32_t row = 0; row < kSizes[blocks[i]]; ++row) places.push_back({blocks[i], row});
    }
    Generator rng = generator_for(generator_for(kSeed, kEpoch, RandomUse::buffer).seed(), w, RandomUse::buffer);
    shuffle(places, rng);
    expected.insert(expected.end(), places.begin(), places.end());
  }
  EXPECT_EQ(epoch_of({.seed = kSeed, .window = kWindow}, kEpoch), expected);
}

TEST(BlockShuffle, NoWindowIsRefusedAndNoBlocksAreNoExamples) {
  EXPECT_THROW(BlockShuffle(kSizes, {.window = 0}), ValueError);
  BlockShuffle none({});
  EXPECT_FALSE(none.next());
  none.start(0, 0);
  EXPECT_FALSE(none.next());
  EXPECT_EQ(none.size(), 0u);
}

}  // namespace
}  // namespace qing::nn
