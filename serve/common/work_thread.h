// A thread for work that waits for the disk, such as loading models, separate from the I/O and compute threads.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include <qing/tensor/threads.h>

namespace qing::serve {

/// Runs one task at a time, at a lower priority than predictions. Thread-safe.
class WorkThread {
 public:
  static constexpr size_t kMostWaiting = 64;
  /// Called once: with true to run, or with false when the thread stops before its turn. Must not throw.
  using Task = std::function<void(bool run)>;

  WorkThread() : thread_(start_thread([this] { work(); })) {}
  /// Stops, as stop() does.
  ~WorkThread() { stop(); }
  WorkThread(const WorkThread&) = delete;
  WorkThread& operator=(const WorkThread&) = delete;

  /// Returns false and never calls `task` when kMostWaiting tasks wait or the thread has stopped.
  bool submit(Task task);
  /// Finishes the running task and joins the thread.
  void stop();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace qing::serve
