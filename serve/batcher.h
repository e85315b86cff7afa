// Dynamic batching: texts of several requests are computed together, in the order in which they came.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <qing/nn/models/text_classifier.h>

namespace qing::serve {

/// What became of a request's texts: predictions in order, or the reason why not.
struct BatchResult {
  enum class Status { kDone, kExpired, kStopped, kFailed };
  Status status = Status::kDone;
  std::vector<nn::Prediction> predictions;  ///< one a text when kDone
  std::exception_ptr error;                 ///< set when kFailed
};

/// A bounded queue with one compute worker. The worker never waits for a batch to fill: it takes what is queued, so a
/// lone request is answered at once and a busy server computes full batches.
class Batcher {
 public:
  using Clock = std::chrono::steady_clock;
  using Done = std::function<void(BatchResult)>;

  /// ValueError unless both limits are positive.
  Batcher(std::size_t queue_texts, std::size_t batch_texts);
  /// Stops, as stop() does.
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  /// Queues a request's texts; `done` is called once, on the worker's thread, and must not throw. False, and no call,
  /// when the queue has no room or the batcher has stopped. Texts not begun by `deadline` give kExpired.
  bool submit(std::shared_ptr<const nn::TextClassifier> classifier, std::vector<std::string> texts,
              Clock::time_point deadline, Done done);
  /// Finishes the batch in hand, answers kStopped to what is queued, and joins the worker.
  void stop();

 private:
  struct Job {
    std::shared_ptr<const nn::TextClassifier> classifier;
    std::vector<std::string> texts;
    Clock::time_point deadline;
    Done done;
    std::vector<nn::Prediction> predictions;
    std::size_t taken = 0;  // texts already handed to a batch
    std::exception_ptr error;
  };
  // Texts [begin, end) of a job, as part of one batch.
  struct Slice {
    std::shared_ptr<Job> job;
    std::size_t begin;
    std::size_t end;
  };

  void work();
  std::vector<Slice> take_batch();
  static void compute(const std::vector<Slice>& batch);
  static void compute_slice(const Slice& slice);
  static void finish(Job& job, BatchResult::Status status);

  const std::size_t queue_texts_;
  const std::size_t batch_texts_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> queue_;
  std::size_t queued_texts_ = 0;
  bool stopping_ = false;
  std::thread worker_;
};

}  // namespace qing::serve
