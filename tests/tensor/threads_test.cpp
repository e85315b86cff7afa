#include <qing/tensor/threads.h>

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include <qing/tensor/errors.h>

namespace qing {
namespace {

class ThreadsTest : public ::testing::Test {
 protected:
  ThreadsTest() { set_num_threads(4); }
  ~ThreadsTest() override { set_num_threads(before_); }

  const int before_ = num_threads();
};

int ranges(int64_t n) {
  std::atomic<int> count = 0;
  parallel_for(n, 1, [&](int64_t, int64_t) { ++count; });
  return count;
}

TEST_F(ThreadsTest, ALimitIsForItsThreadAndItsScope) {
  {
    const ThreadLimit one(1);
    EXPECT_EQ(num_threads(), 1);
    EXPECT_EQ(ranges(100), 1);
    {
      const ThreadLimit more(3);
      EXPECT_EQ(num_threads(), 3);
    }
    EXPECT_EQ(num_threads(), 1);
    int elsewhere = 0;
    std::thread([&] { elsewhere = num_threads(); }).join();
    EXPECT_EQ(elsewhere, 4);
    const ThreadLimit many(100);
    EXPECT_EQ(num_threads(), 4) << "a limit gives nobody more";
  }
  EXPECT_EQ(num_threads(), 4);
  EXPECT_THROW(ThreadLimit(0), ValueError);
}

TEST_F(ThreadsTest, ALimitEndsWithAnException) {
  EXPECT_THROW(([] {
                 const ThreadLimit one(1);
                 throw std::runtime_error("x");
               }()),
               std::runtime_error);
  EXPECT_EQ(num_threads(), 4);
}

}  // namespace
}  // namespace qing
