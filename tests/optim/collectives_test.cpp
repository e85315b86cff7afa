#include <gtest/gtest.h>
#include <qing/optim/parallel/chunk_tree.h>
#include <qing/optim/parallel/collectives.h>
#include <qing/optim/parallel/slow_ranks.h>
#include <qing/optim/parallel/thread_ranks.h>
#include <qing/optim/parallel/wire.h>
#include <qing/tensor/creation.h>
#include <qing/tensor/errors.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <vector>

namespace qing::optim {
namespace {

TEST(ChunkTree, ANodeHasItsTwoHalves) {
  EXPECT_TRUE(are_halves({0, 4}, {4, 8}, 8));
  EXPECT_TRUE(are_halves({4, 5}, {5, 6}, 8));
  EXPECT_FALSE(are_halves({1, 2}, {2, 3}, 8));
  EXPECT_FALSE(are_halves({0, 2}, {2, 3}, 8));
  EXPECT_FALSE(are_halves({0, 3}, {3, 8}, 8));
  EXPECT_TRUE(are_halves({0, 2}, {2, 5}, 5));
}

TEST(ChunkTree, TheLargestNodesCoverARanksChunks) {
  EXPECT_EQ(largest_nodes({0, 8}, 8), (std::vector<ChunkRange>{{0, 8}}));
  EXPECT_EQ(largest_nodes({3, 7}, 8), (std::vector<ChunkRange>{{3, 4}, {4, 6}, {6, 7}}));
  EXPECT_TRUE(largest_nodes({3, 3}, 8).empty());
  for (int chunks = 1; chunks <= 12; ++chunks) {
    for (int first = 0; first < chunks; ++first) {
      for (int last = first + 1; last <= chunks; ++last) {
        int next = first;
        for (const ChunkRange& node : largest_nodes({first, last}, chunks)) {
          EXPECT_EQ(node.first, next);
          next = node.last;
        }
        EXPECT_EQ(next, last);
      }
    }
  }
}

TEST(ChunkTree, CutsByCost) {
  const std::vector<int64_t> even(8, 5), uneven = {1, 1, 1, 1, 20, 1, 1, 1}, none(4, 0);
  EXPECT_EQ(cut_into_chunks(even, 4), (std::vector<int64_t>{0, 2, 4, 6, 8}));
  EXPECT_EQ(cut_into_chunks(uneven, 2).at(1), 4);
  EXPECT_EQ(cut_into_chunks({}, 2), (std::vector<int64_t>{0, 0, 0}));
  EXPECT_EQ(cut_into_chunks(none, 2).back(), 4);
  for (const int chunks : {1, 3, 8, 20}) {
    const std::vector<int64_t> cut = cut_into_chunks(uneven, chunks);
    EXPECT_EQ(std::ssize(cut), chunks + 1);
    EXPECT_TRUE(std::ranges::is_sorted(cut));
    EXPECT_EQ(cut.back(), 8);
  }
  EXPECT_THROW(cut_into_chunks(even, 0), ValueError);
  EXPECT_EQ(divide_chunks(even, 3), (std::vector<ChunkRange>{{0, 3}, {3, 5}, {5, 8}}));
}

TEST(ThreadRanks, CollectivesReachAllRanks) {
  for (const int size : {1, 2, 3, 4}) {
    run_thread_ranks(size, [size](Communicator& ranks) {
      barrier(ranks);
      EXPECT_EQ(broadcast_value(ranks, 10 + ranks.rank()), 10);
      EXPECT_EQ(broadcast_value(ranks, 10 + ranks.rank(), size - 1), 9 + size);
      std::string text = "from " + std::string(static_cast<size_t>(ranks.rank()) + 1, 'x');
      broadcast(ranks, text);
      EXPECT_EQ(text, "from x");
      const std::vector<std::string> texts =
          all_gather_texts(ranks, std::string(static_cast<size_t>(ranks.rank()), 'y'));
      ASSERT_EQ(std::ssize(texts), size);
      for (size_t rank = 0; rank < texts.size(); ++rank) EXPECT_EQ(texts[rank], std::string(rank, 'y'));
      const std::vector<double> values = all_gather_values(ranks, 0.5 * ranks.rank());
      for (size_t rank = 0; rank < values.size(); ++rank) EXPECT_EQ(values[rank], 0.5 * static_cast<double>(rank));
    });
  }
}

TEST(ThreadRanks, AStateReachesAllRanks) {
  run_thread_ranks(3, [](Communicator& ranks) {
    StateDict state;
    if (ranks.is_first()) {
      state = {
          {"a", Tensor::of({{1, 2, 3}, {4, 5, 6}})}, {"b", Tensor::full({}, 7, DType::i64)}, {"none", zeros({0, 3})}};
    }
    const StateDict got = broadcast_state(ranks, state);
    ASSERT_EQ(got.size(), 3u);
    EXPECT_EQ(got.at("a").shape(), (Shape{2, 3}));
    EXPECT_EQ(got.at("a").at({1, 2}), 6);
    EXPECT_EQ(got.at("b").dtype(), DType::i64);
    EXPECT_EQ(got.at("b").item(), 7);
    EXPECT_EQ(got.at("none").shape(), (Shape{0, 3}));
  });
}

TEST(ThreadRanks, ARankThatFailsEndsTheOthersWithItsReason) {
  std::atomic<int> told = 0;
  try {
    run_thread_ranks(4, [&](Communicator& ranks) {
      if (ranks.rank() == 2) throw ValueError("no more paper");
      try {
        barrier(ranks);
        barrier(ranks);
      } catch (const IoError& error) {
        EXPECT_STREQ(error.what(), "rank 2 failed: no more paper");
        ++told;
        throw;
      }
    });
    FAIL();
  } catch (const ValueError& error) { EXPECT_STREQ(error.what(), "no more paper"); }
  EXPECT_EQ(told, 3);
}

TEST(ThreadRanks, WrongUseIsRefused) {
  EXPECT_THROW(run_thread_ranks(0, [](Communicator&) {}), ValueError);
  run_thread_ranks(2, [](Communicator& ranks) {
    const std::byte byte{};
    for (const int peer : {ranks.rank(), 2, -1}) {
      const Outgoing out{peer, std::span(&byte, 1)};
      EXPECT_THROW(ranks.exchange(std::span(&out, 1), {}), ValueError);
    }
  });
}

TEST(ThreadRanks, BytesAreCounted) {
  run_thread_ranks(3, [](Communicator& ranks) {
    all_gather_values(ranks, int64_t{});
    EXPECT_EQ(ranks.bytes_sent(), 16);
  });
}

TEST(Wire, RunsJobsInOrderAndTellsTheFirstError) {
  std::vector<int> done;
  Wire wire;
  for (int i = 0; i < 5; ++i) wire.submit([&done, i] { done.push_back(i); });
  wire.wait();
  EXPECT_EQ(done, (std::vector<int>{0, 1, 2, 3, 4}));
  wire.submit([] { throw ValueError("first"); });
  EXPECT_THROW(wire.wait(), ValueError);
  wire.wait();
}

TEST(SlowRanks, NamesTheRankThatKeepsOthersWaiting) {
  SlowRanks slow, even, single;
  const std::vector<double> times = {1, 2, 1.1}, same = {1, 1.2, 1.1}, alone = {5};
  for (int64_t step = 1; step < SlowRanks::kSteps; ++step) EXPECT_FALSE(slow.add(times));
  const std::optional<SlowRank> found = slow.add(times);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->rank, 1);
  EXPECT_NEAR(found->factor, 2, 1e-9);
  int64_t again = 0;
  while (!slow.add(times)) ++again;
  EXPECT_EQ(again + 1, SlowRanks::kPatience * SlowRanks::kSteps);
  for (int64_t step = 0; step < 10 * SlowRanks::kSteps; ++step) {
    EXPECT_FALSE(even.add(same));
    EXPECT_FALSE(single.add(alone));
  }
}

}  // namespace
}  // namespace qing::optim
