#include <qing/tensor/thread_team.h>

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <qing/tensor/threads.h>

namespace qing {
namespace {

ThreadTeam::Start plain_start() {
  return [](int, std::function<void()> work) { return std::thread(std::move(work)); };
}

// Runs jobs of 1 to 6 ranges and returns how many ranges were not computed exactly once by the time that run()
// returned.
int wrong_ranges(ThreadTeam& team, int jobs) {
  int wrong = 0;
  for (int job = 0; job < jobs; ++job) {
    const int ranges = 1 + job % 6;
    std::vector<std::atomic<int>> computed(static_cast<size_t>(ranges));
    team.run(ranges, [&](int range) { ++computed.at(static_cast<size_t>(range)); });
    for (const std::atomic<int>& times : computed) wrong += times != 1;
  }
  return wrong;
}

TEST(ThreadTeam, EveryRangeIsComputedOnce) {
  ThreadTeam team(plain_start());
  EXPECT_EQ(wrong_ranges(team, 3000), 0);
}

TEST(ThreadTeam, TheCallerComputesAllRangesWhenTheSystemHasNoThread) {
  int asked = 0;
  ThreadTeam team([&](int, const std::function<void()>&) -> std::thread {
    ++asked;
    throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
  });
  EXPECT_EQ(wrong_ranges(team, 12), 0);
  EXPECT_GT(asked, 0);
}

TEST(ThreadTeam, TheCallerComputesTheRangesOfAWorkerThatDoesNotRun) {
  std::atomic<bool> released = false;
  ThreadTeam team([&](int, std::function<void()> work) {
    return std::thread([&released, work = std::move(work)] {
      while (!released) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      work();
    });
  });
  // The worker begins when many jobs are over. It must find none of their ranges, whose bodies no longer exist.
  EXPECT_EQ(wrong_ranges(team, 100), 0);
  released = true;
  EXPECT_EQ(wrong_ranges(team, 1000), 0);
}

TEST(ThreadTeam, AThreadBeginsWithItsOwnRange) {
  ThreadTeam team(plain_start());
  std::atomic<int> begun = 0;
  std::thread::id first[2], second[2];
  for (auto* threads : {first, second}) {
    begun = 0;
    team.run(2, [&](int range) {
      threads[range] = std::this_thread::get_id();
      ++begun;
      while (begun < 2) std::this_thread::yield();  // both threads take part
    });
  }
  EXPECT_EQ(first[0], std::this_thread::get_id());
  EXPECT_NE(first[1], first[0]);
  EXPECT_EQ(second[0], first[0]);
  EXPECT_EQ(second[1], first[1]);
}

// The states of this process's threads, as "S" for a sleeping one.
std::string states_of_threads() {
  std::string states;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "stat");
    std::string text;
    std::getline(file, text);
    const size_t name = text.rfind(')');
    if (name != std::string::npos) states += text.at(name + 2);
  }
  return states;
}

TEST(ThreadTeam, WaitingThreadsSleep) {
  set_num_threads(4);
  parallel_for(4, 1, [](int64_t, int64_t) {});
  std::string states;
  // The thread that looks is running. A worker may still spin, at most as long as a policy says.
  for (int tries = 0; tries < 600; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    states = states_of_threads();
    if (states.size() >= 4 && states.find('R') == states.rfind('R')) return;
  }
  ADD_FAILURE() << "threads still compute: " << states;
}

}  // namespace
}  // namespace qing
