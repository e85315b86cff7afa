// The threads that compute together with one calling thread. parallel_for() (threads.h) is what other code calls.
//
// A job is a number of ranges. The caller computes range 0, and each worker prefers a range of its own, so that a
// thread meets the same rows again and again. Whoever is done takes ranges that nobody has begun. A worker that the
// system does not run, because another process has its core, therefore delays a job only if it has begun a range.
//
// Waiting threads spin for at most kPatience before they sleep. Spinning catches the next job of a network without the
// cost of waking a thread, but on a core that other processes share it takes time from them, and the scheduler takes it
// back in the middle of a job. So a thread that was interrupted while it spun makes all threads of the process sleep at
// once for kCalm. OMP_WAIT_POLICY=passive never spins, and active spins for kActivePatience.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace qing {

/// The workers of one thread. run() is for that thread alone.
class ThreadTeam {
 public:
  static constexpr int kMost = 1024;
  /// Starts the worker of a number from 1 on, which runs the given function. May throw std::system_error.
  using Start = std::function<std::thread(int number, std::function<void()> work)>;

  explicit ThreadTeam(Start start);
  ~ThreadTeam();  ///< Ends the workers.
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  /// Calls body(r), which must not throw, for each r in [0, ranges), 1 ≤ ranges ≤ kMost, at the same time where the
  /// system has threads to give. body(0) runs on the calling thread.
  void run(int ranges, const std::function<void(int)>& body);

 private:
  struct Worker;

  void hire(int workers);
  void work(Worker& own, int number);
  bool claim(int range, uint64_t job);
  void finish();

  Start start_;
  std::vector<std::unique_ptr<Worker>> workers_;
  // The caller's fields of the current job. Workers read them after they have claimed a range, and the caller writes
  // them when no range is claimed.
  const std::function<void(int)>* body_ = nullptr;
  uint64_t job_ = 0;  // its number, from 1
  std::atomic<int32_t> unfinished_ = 0;
  std::array<std::atomic<uint64_t>, kMost> claimed_{};  // the last job in which a range was taken
};

}  // namespace qing
