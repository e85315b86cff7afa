#include <qing/optim/parallel/wire.h>

#include <utility>

#include <qing/tensor/denormals.h>
#include <qing/tensor/threads.h>

namespace qing::optim {

Wire::Wire() : thread_(start_thread([this] { run(); })) {}

Wire::~Wire() {
  {
    const std::lock_guard lock(mutex_);
    jobs_.clear();
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Wire::submit(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  changed_.notify_all();
}

void Wire::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return jobs_.empty() && !busy_; });
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void Wire::run() {
  const FlushDenormals flush;  // as parallel_for does, so that sums have the same bits on every thread
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return !jobs_.empty() || ending_; });
    if (ending_) return;
    const std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    busy_ = true;
    lock.unlock();
    std::exception_ptr error;
    try {
      job();
    } catch (...) { error = std::current_exception(); }
    lock.lock();
    busy_ = false;
    if (error && !error_) error_ = error;
    if (error) jobs_.clear();
    changed_.notify_all();
  }
}

}  // namespace qing::optim
