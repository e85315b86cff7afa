#include <qing/nn/data/prefetcher.h>

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

using Task = Prefetcher<int>::Task;

TEST(Prefetcher, HandsOutInOrderWhatFinishesOutOfOrder) {
  std::atomic<int> later = 0;
  int number = 0;
  Prefetcher<int> prefetcher(
      [&]() -> Task {
        if (number == 3) return {};
        return [&later, i = number++] {
          if (i == 0) {
            while (later < 2) std::this_thread::yield();  // the first task is the last to finish
          } else {
            ++later;
          }
          return i;
        };
      },
      2, 3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(prefetcher.next(), i);
  EXPECT_EQ(prefetcher.next(), std::nullopt);
  EXPECT_EQ(prefetcher.next(), std::nullopt);
}

TEST(Prefetcher, AsksNoMoreAfterTheSourceFailed) {
  std::atomic<int> asked = 0;
  Prefetcher<int> prefetcher(
      [&]() -> Task {
        if (++asked == 2) throw std::runtime_error("source");
        return [] { return 7; };
      },
      3, 5);
  EXPECT_EQ(prefetcher.next(), 7);
  EXPECT_THROW(prefetcher.next(), std::runtime_error);
  EXPECT_EQ(prefetcher.next(), std::nullopt);
  EXPECT_EQ(asked, 2);
}

TEST(Prefetcher, AFailedTaskDoesNotStopTheOthers) {
  int number = 0;
  Prefetcher<int> prefetcher(
      [&]() -> Task {
        if (number == 6) return {};
        return [i = number++] { return i % 2 == 0 ? i : throw i; };
      },
      2, 4);
  for (int i = 0; i < 6; i += 2) {
    EXPECT_EQ(prefetcher.next(), i);
    EXPECT_THROW(prefetcher.next(), int);
  }
  EXPECT_EQ(prefetcher.next(), std::nullopt);
}

TEST(Prefetcher, RefusesToWaitForever) {
  const auto task = []() -> Task { return [] { return 1; }; };
  EXPECT_THROW(Prefetcher<int>(task, 0, 1), ValueError);
  EXPECT_THROW(Prefetcher<int>(task, 1, 0), ValueError);
}

TEST(Prefetcher, StopsWhileWorkersWaitForRoom) {
  std::atomic<int> done = 0;
  {
    Prefetcher<int> prefetcher([&]() -> Task { return [&done] { return ++done; }; }, 4, 2);
    while (done < 2) std::this_thread::yield();
  }
  EXPECT_EQ(done, 2);
}

}  // namespace
}  // namespace qing::nn
