// Prepares batches ahead in the background and hands them out in order.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::nn {

/// Worker threads take tasks from `next_task`, one at a time, and run them at the same time. next() returns the results
/// in the order of the tasks. At most `capacity` tasks are taken and not yet handed out. An empty task is the end.
/// next() rethrows the exceptions of a task or of `next_task` in place of its result. After an exception of `next_task`
/// nothing more comes. The destructor may run at any moment and waits only for the running tasks. ValueError without
/// workers or capacity.
template <class Batch> class Prefetcher {
 public:
  using Task = std::function<Batch()>;

  Prefetcher(std::function<Task()> next_task, size_t workers, size_t capacity)
      : next_task_(std::move(next_task)), capacity_(capacity) {
    if (workers == 0 || capacity == 0) {
      throw ValueError("Prefetcher: workers or capacity is 0, and next() would wait forever; they must be at least 1");
    }
    try {
      for (size_t i = 0; i < workers; ++i) threads_.push_back(start_thread([this] { work(); }));
    } catch (...) {  // the system cannot create a thread
      stop();
      throw;
    }
  }
  ~Prefetcher() { stop(); }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// Returns the result of the next task, or nullopt after the last. One thread at a time may call it.
  std::optional<Batch> next() {
    Result result;
    {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [&] { return results_.contains(given_) || (ended_ && given_ == taken_); });
      if (given_ == taken_) return std::nullopt;
      const auto node = results_.extract(given_++);
      result = std::move(node.mapped());
    }
    room_.notify_one();
    if (result.error) std::rethrow_exception(std::exchange(result.error, nullptr));
    return std::move(result.batch);
  }

 private:
  struct Result {
    std::optional<Batch> batch;
    std::exception_ptr error;
  };

  void work() {
    size_t number = 0;
    while (const Task task = take(number)) {
      Result result;
      try {
        result.batch.emplace(task());
      } catch (...) { result.error = std::current_exception(); }
      put(number, std::move(result));
    }
  }

  // Returns the next task and its number once there is room for its result, or an empty task when this thread must end.
  Task take(size_t& number) {
    const std::lock_guard source(source_);
    {
      std::unique_lock lock(mutex_);
      room_.wait(lock, [&] { return stopped_ || ended_ || taken_ - given_ < capacity_; });
      if (stopped_ || ended_) return {};
    }
    Task task;
    Result result;
    try {
      task = next_task_();
    } catch (...) { result.error = std::current_exception(); }
    const std::lock_guard lock(mutex_);
    number = taken_;
    if (task || result.error) ++taken_;
    if (result.error) results_.emplace(number, std::move(result));
    ended_ = !task;
    if (ended_) ready_.notify_one();
    return task;
  }

  void put(size_t number, Result result) {
    const std::lock_guard lock(mutex_);
    results_.emplace(number, std::move(result));
    ready_.notify_one();
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    room_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  const std::function<Task()> next_task_;
  const size_t capacity_;
  std::mutex source_;  // held while a task is taken, so that tasks are taken in order; locked before mutex_
  std::mutex mutex_;   // guards the members below
  std::condition_variable ready_, room_;
  std::map<size_t, Result> results_;  // finished results, not yet handed out
  size_t taken_ = 0, given_ = 0;      // tasks taken, results handed out
  bool ended_ = false, stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace qing::nn
