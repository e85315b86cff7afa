// The thread that models are loaded on, apart from I/O and from predictions.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include <qing/tensor/threads.h>

namespace qing::serve {

/// Does one thing after the other, at a lower priority than predictions. Safe to use from many threads.
class ModelThread {
 public:
  static constexpr std::size_t kMostWaiting = 64;
  /// Called once: with true to do its work, with false when the thread stops before its turn. Must not throw.
  using Task = std::function<void(bool run)>;

  ModelThread() : thread_(start_thread([this] { work(); })) {}
  /// Stops, as stop() does.
  ~ModelThread() { stop(); }
  ModelThread(const ModelThread&) = delete;
  ModelThread& operator=(const ModelThread&) = delete;

  /// False, and no call, when too much waits or the thread has stopped.
  bool submit(Task task);
  /// Finishes what is in hand, and joins.
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
