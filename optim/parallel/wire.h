// Work that a thread does beside the computation, such as exchanging gradients while backward goes on.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace qing::optim {

/// Runs jobs one after the other on a thread of its own. One thread uses it.
class Wire {
 public:
  Wire();
  /// Drops the jobs that have not begun, and waits for the one that has.
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  void submit(std::function<void()> job);
  /// Returns when all jobs have ended. Rethrows the first exception of one; those after it are dropped.
  void wait();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  std::exception_ptr error_;
  bool busy_ = false, ending_ = false;
  std::thread thread_;
};

}  // namespace qing::optim
