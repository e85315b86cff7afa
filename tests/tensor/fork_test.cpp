// A process that has computed forks, and the child computes too.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <qing/tensor/allocator.h>
#include <qing/tensor/creation.h>
#include <qing/tensor/ops/compare.h>
#include <qing/tensor/ops/matmul.h>
#include <qing/tensor/threads.h>

namespace qing {
namespace {

constexpr unsigned kPatience = 30;  // seconds until a child that hangs is ended

class ForkTest : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "ThreadSanitizer does not support threads after a fork of a program with several threads";
#endif
    set_num_threads(4);
  }
  void TearDown() override { set_num_threads(before_); }

  const int before_ = num_threads();
};

// Runs body in a child process. The result is waitpid's status: 0 when body returned true.
template <class Body> int status_of_child(const Body& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(kPatience);
    bool good = false;
    try {
      good = body();
    } catch (...) {}
    _exit(good ? 0 : 1);
  }
  int status = -1;
  return child > 0 && waitpid(child, &status, 0) == child ? status : -1;
}

Tensor product() {
  const Tensor x = Tensor::arange(300 * 301).reshape({300, 301}).to(DType::f32);
  Tensor y = Tensor::zeros({300, 300});
  matmul_into(x, x.transpose(0, 1), y, false);
  return y;
}

int threads_used() {
  std::atomic<int> ranges = 0;
  parallel_for(100, 1, [&](int64_t, int64_t) { ++ranges; });
  return ranges;
}

TEST_F(ForkTest, AChildComputesTheSameBitsOnAsManyThreads) {
  const Tensor expected = product();
  ASSERT_EQ(threads_used(), 4);
  const auto computes = [&] { return threads_used() == 4 && identical(product(), expected); };
  EXPECT_EQ(status_of_child(computes), 0);
  EXPECT_TRUE(computes()) << "the parent goes on";
  EXPECT_EQ(status_of_child([&] { return computes() && status_of_child(computes) == 0 && computes(); }), 0);
}

TEST_F(ForkTest, AThreadThatComputedForks) {
  const Tensor expected = product();
  int status = -1;
  std::thread([&] {
    threads_used();
    status = status_of_child([&] { return threads_used() == 4 && identical(product(), expected); });
  }).join();
  EXPECT_EQ(status, 0);
}

TEST_F(ForkTest, OtherThreadsAllocateAndComputeMeanwhile) {
  const Tensor expected = product();
  std::atomic<bool> stop = false;
  std::vector<std::thread> busy;
  for (int i = 0; i < 2; ++i) {
    busy.emplace_back([&] {
      while (!stop) Tensor::zeros({64, 64}).add_(1);
    });
  }
  int status = 0;
  for (int i = 0; i < 20 && status == 0; ++i) {
    status = status_of_child([&] { return identical(product(), expected); });
  }
  EXPECT_EQ(status, 0);
  stop = true;
  for (std::thread& thread : busy) thread.join();
}

TEST_F(ForkTest, AnotherThreadHoldsTheAllocator) {
  std::atomic<bool> held = false;
  std::thread holder([&] {
    lock_allocator();
    held = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    unlock_allocator();
  });
  while (!held) std::this_thread::yield();
  EXPECT_EQ(status_of_child([] { return Tensor::zeros({10}).numel() == 10; }), 0);
  holder.join();
}

// The enclosing team cannot be ended, so a product in the child uses the only existing thread.
TEST_F(ForkTest, AForkInsideABody) {
  const Tensor expected = product();
  std::atomic<int> status = -1;
  parallel_for(4, 1, [&](int64_t begin, int64_t) {
    if (begin == 0) status = status_of_child([&] { return identical(product(), expected); });
  });
  EXPECT_EQ(status, 0);
}

TEST_F(ForkTest, AChildExecutesAnotherProgram) {
  threads_used();
  EXPECT_EQ(status_of_child([] { return execl("/bin/true", "true", nullptr) == 0; }), 0);
}

}  // namespace
}  // namespace qing
