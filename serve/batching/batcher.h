// Dynamic batching: requests for one model are computed together, in batches bounded by tokens.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <qing/serve/batching/batch_queue.h>
#include <qing/serve/batching/prediction_cache.h>
#include <qing/serve/common/limits.h>

namespace qing::serve {

/// The number of workers of a Batcher with these limits.
size_t compute_workers(const Limits& limits);

/// Compute workers behind a bounded, fair queue. Thread-safe. A worker never waits for a batch to fill: a single
/// request is computed at once, and a busy server computes full batches. Waiting texts are divided among the workers,
/// so a large request uses all of them. Sequences are ragged, without padding.
class Batcher {
 public:
  using Clock = BatchClock;
  using Done = std::function<void(BatchResult)>;

  /// Uses queue_*, batch_*, compute_workers and cache_bytes. ValueError unless queue_* and batch_* are positive.
  explicit Batcher(const Limits& limits);
  /// Stops, as stop() does.
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  /// Queues a request. `done` is called once, on any thread; it must neither throw nor call the Batcher. Returns false
  /// and never calls `done` when the queue is full or the batcher has stopped. A request that is not started by its
  /// deadline gives kExpired. A cancelled request gives kCancelled, and its remaining texts are not computed.
  bool submit(BatchRequest request, Done done);
  /// The same for texts alone.
  bool submit(std::shared_ptr<const nn::TextClassifier> classifier, std::vector<std::string> texts,
              Clock::time_point deadline, Done done);
  /// False when the queue would refuse even one short text. A caller can then skip reading the request.
  bool would_admit(const nn::TaskModel* model, const std::string& key);
  /// Finishes the running batches, answers queued requests with kStopped, and joins the workers.
  void stop();

 private:
  // Texts of one model, computed together.
  struct Batch {
    struct Text {
      JobPointer job;
      size_t index;
      size_t tokens = 0;  // estimated for shared works
    };
    BatchQueue::Lane lane;
    std::vector<Text> texts;
    std::vector<nn::EncodedText> encodings;  // one per text; empty ones for shared works
    size_t tokens = 0, most_tokens = 0;
    Text work{nullptr, 0};   // if not null, computed instead of texts
    std::vector<Text> rest;  // taken from the queue but did not fit: the next batch starts with these
    std::vector<nn::EncodedText> rest_encodings;
    bool empty() const { return texts.empty() && !work.job; }
  };

  void work();
  bool wait_for_work(std::unique_lock<std::mutex>& lock, const Batch& batch);
  void fill(std::unique_lock<std::mutex>& lock, Batch& batch);
  void encode(const BatchSlice& slice, Batch& batch);
  void add(Batch& batch, Batch::Text text, nn::EncodedText encoding);
  size_t share() const;
  bool has_room(const Batch& batch, size_t tokens) const;
  void compute(Batch& batch);
  void predict(const std::vector<Batch::Text>& texts, std::span<const nn::EncodedText> encodings);
  static std::vector<std::exception_ptr> run_shared(std::span<const Batch::Text> texts);
  void sweep(std::unique_lock<std::mutex>& lock);
  void trim_memory();
  static void run_work(const Batch::Text& text);

  const Limits limits_;
  PredictionCache cache_;
  std::mutex mutex_;
  std::condition_variable wake_;
  BatchQueue queue_;
  Clock::time_point swept_{}, trimmed_{};
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace qing::serve
