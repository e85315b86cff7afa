// Dynamic batching: requests for a model are computed together, in batches bounded by tokens.
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

/// How many workers a Batcher with these limits has.
std::size_t compute_workers(const Limits& limits);

/// Compute workers behind a bounded, fair queue. A worker never waits for a batch to fill: it takes what is queued, so
/// a lone request is computed at once and a busy server computes full batches; what waits is divided among the workers,
/// so that a large request has all of them. Sequences are ragged: nothing is padded.
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

  /// Queues a request; `done` is called once, on any thread, and must neither throw nor call the Batcher. False, and no
  /// call, when the queue has no room or the batcher has stopped. What is not begun by its deadline gives kExpired;
  /// what is cancelled gives kCancelled, and of its texts those that were not begun are not computed.
  bool submit(BatchRequest request, Done done);
  /// The same for texts alone.
  bool submit(std::shared_ptr<const nn::TextClassifier> classifier, std::vector<std::string> texts,
              Clock::time_point deadline, Done done);
  /// False when the queue would refuse even one short text, so that a caller may spare itself the reading of more.
  bool would_admit(const std::shared_ptr<const nn::TextClassifier>& classifier, const std::string& key);
  /// Finishes the batches in hand, answers kStopped to what is queued, and joins the workers.
  void stop();

 private:
  // Texts of one model that are computed together.
  struct Batch {
    struct Text {
      JobPointer job;
      std::size_t index;
    };
    BatchQueue::Lane lane;
    std::vector<Text> texts;
    std::vector<nn::EncodedText> encodings;  // one a text
    std::size_t tokens = 0, most_tokens = 0;
    Text work{nullptr, 0};   // instead of texts, unless null
    std::vector<Text> rest;  // taken from the queue, but without room: the next batch begins with these
    std::vector<nn::EncodedText> rest_encodings;
    bool empty() const { return texts.empty() && !work.job; }
  };

  void work();
  bool wait_for_work(std::unique_lock<std::mutex>& lock, const Batch& batch);
  void fill(std::unique_lock<std::mutex>& lock, Batch& batch);
  void encode(const BatchSlice& slice, Batch& batch);
  void add(Batch& batch, Batch::Text text, nn::EncodedText encoding);
  std::size_t share() const;
  bool has_room(const Batch& batch, std::size_t tokens) const;
  void compute(Batch& batch);
  void predict(const std::vector<Batch::Text>& texts, std::span<const nn::EncodedText> encodings);
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
