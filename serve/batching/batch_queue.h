// The queue of requests for the compute workers: bounded, and fair between models and between keys. It has no lock of
// its own; the Batcher locks around it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/models/text_classifier.h>
#include <qing/serve/common/limits.h>
#include <qing/serve/common/statistics.h>
#include <qing/serve/registry/model_limits.h>

namespace qing::serve {

using BatchClock = std::chrono::steady_clock;

/// The outcome of a request: predictions in order, or the reason why there are none.
struct BatchResult {
  enum class Status {
    kDone,
    kExpired,    ///< not started by the deadline
    kStopped,    ///< the batcher stopped
    kFailed,     ///< see error
    kRefused,    ///< evicted in favour of keys that had queued less
    kCancelled,  ///< the caller no longer waits for the result
  };
  Status status = Status::kDone;
  /// One per text when kDone. When kFailed or kCancelled, texts that were not computed have predictions of 0 tokens.
  std::vector<nn::Prediction> predictions;
  std::exception_ptr error;  ///< set when kFailed: that of the first text which failed
  size_t failed_text = 0;    ///< its index
};

/// Set by the caller when it no longer waits for the result.
using CancelToken = std::shared_ptr<const std::atomic<bool>>;

/// The texts of one request for a model of another task than classification, which are computed in the batches of that
/// model. All of a model's shared works have one type.
class SharedWork {
 public:
  struct Text {
    SharedWork* work;
    size_t index;  ///< of the text in its request
  };
  virtual ~SharedWork() = default;
  /// Computes texts of several requests, of this one among others, and keeps the results in their works. Returns the
  /// tokens of each. On any worker; the texts of one work may be computed at the same time. A result must not depend
  /// on the other texts. When it throws, each text is computed alone, and only the failing text's request fails.
  virtual std::vector<std::int32_t> run(std::span<const Text> texts) = 0;
};

struct BatchRequest {
  /// Requests of one classifier are batched. Null for a model of another task, whose requests have `work` or
  /// `shared`.
  std::shared_ptr<const nn::TextClassifier> classifier;
  std::shared_ptr<const nn::TaskModel> model = {};  ///< null: the classifier
  std::vector<std::string> texts;
  BatchClock::time_point deadline = BatchClock::time_point::max();
  std::string key;  ///< keys are served in turn; empty: the anonymous one
  /// Bounds of the model's queue, if lower than those of the Batcher. The values of the latest request apply.
  size_t queue_texts = ModelLimits::kNone, queue_tokens = ModelLimits::kNone;
  CancelToken cancelled;                        ///< may be null
  std::shared_ptr<ModelStatistics> statistics;  ///< may be null
  bool background = false;                      ///< computed only when no other request waits
  /// Called with the index of each text instead of predicting it, on any worker. An exception makes the result kFailed.
  std::function<nn::Prediction(size_t text)> work;
  /// Computes the texts together with those of other requests, instead of the classifier. Needs `costs`. A result has
  /// predictions with tokens alone.
  std::shared_ptr<SharedWork> shared = nullptr;
  size_t work_cost = 1;            ///< cost per text, as a multiple of its prediction
  std::vector<size_t> costs = {};  ///< of each text, as a number of tokens, instead of an estimate; empty: the estimate

  const nn::TaskModel* lane() const { return model ? model.get() : classifier.get(); }
};

struct BatchJob {
  BatchRequest request;
  std::function<void(BatchResult)> done;
  BatchClock::time_point queued;
  size_t taken = 0;                         // texts handed to a worker
  std::atomic<size_t> unfinished = 0;       // texts without a result
  std::vector<nn::Prediction> predictions;  // one per text
  std::atomic<bool> expired = false;        // before its first text was started
  std::atomic<bool> failed = false;
  std::mutex failing;  // of the following two
  std::exception_ptr error;
  size_t failed_text = 0;

  bool gone() const { return request.cancelled && request.cancelled->load(std::memory_order_relaxed); }
};
using JobPointer = std::shared_ptr<BatchJob>;

/// Texts [begin, end) of a job.
struct BatchSlice {
  JobPointer job;
  size_t begin;
  size_t end;
};

/// Not thread-safe. Models share the compute time, and the keys of a model share its tokens: the least served is next
/// (start-time fair queueing, Goyal et al. 1996). A model's queue is bounded by texts and by estimated tokens. When it
/// is full, the newest requests of the key that has queued most are evicted for a key that has queued less.
class BatchQueue {
 public:
  using Lane = std::pair<bool, const nn::TaskModel*>;  ///< {background, model}

  BatchQueue(size_t texts, size_t tokens) : most_texts_(texts), most_tokens_(tokens) {}

  /// Estimated tokens of texts [begin, end) of a request. The estimate is only used for bounds and fairness.
  static size_t tokens_of(const BatchRequest& request, size_t begin, size_t end);

  struct Pushed {
    bool admitted;
    std::vector<JobPointer> pushed_out;
  };
  Pushed push(const JobPointer& job);
  /// Whether push() would admit the smallest possible request of this key.
  bool would_admit(const Lane& lane, const std::string& key) const;
  bool empty() const { return queued_ == 0; }
  size_t tokens() const { return tokens_; }  ///< estimated, of all waiting requests
  /// The lane to serve next; the queue must not be empty.
  Lane next() const;
  /// Takes about `tokens` tokens of the least served key of a lane, at least one text; nothing from an empty lane.
  /// Texts of requests with BatchRequest::work are taken one at a time, alone, and only if `work` is set; the next
  /// request of the key precedes the next such text.
  std::vector<BatchSlice> take(const Lane& lane, size_t tokens, bool work);
  /// Adds compute time used by a lane.
  void charge(const Lane& lane, double seconds);
  /// Removes requests that are expired or cancelled and not started.
  std::vector<JobPointer> remove_dead(BatchClock::time_point now);
  std::vector<JobPointer> remove_all();

 private:
  struct Flow {
    std::deque<JobPointer> jobs;
    double served = 0;  // tokens
    size_t texts = 0, tokens = 0;
    std::multimap<double, Flow*>::iterator place;  // in the lane's order; valid when there are jobs
  };
  struct Requests {
    std::map<std::string, Flow> flows;
    std::multimap<double, Flow*> order;  // flows with jobs, by served
    double floor = 0;                    // `served` of the last served flow, before that service
    double served = 0;                   // seconds
    size_t texts = 0, tokens = 0;
    size_t most_texts = 0, most_tokens = 0;
  };

  void leave(Requests& lane, Flow& flow, const BatchJob& job, size_t begin, size_t end);
  static bool has_room(const Requests& lane, size_t texts, size_t tokens);
  bool make_room(Requests& lane, const Flow& flow, size_t texts, size_t tokens, std::vector<JobPointer>& out);
  void push_out(Requests& lane, Flow& flow, std::vector<JobPointer>& out);
  void remove_idle();

  const size_t most_texts_, most_tokens_;
  std::map<Lane, Requests> lanes_;
  double floor_ = 0;
  size_t queued_ = 0;  // jobs
  size_t tokens_ = 0;  // of all lanes
};

}  // namespace qing::serve
