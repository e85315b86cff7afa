// Requests that wait for the compute workers: bounded, and fair between models and between keys. A plain data
// structure; the Batcher locks around it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <qing/nn/models/text_classifier.h>
#include <qing/serve/common/limits.h>
#include <qing/serve/common/statistics.h>
#include <qing/serve/registry/model_limits.h>

namespace qing::serve {

using BatchClock = std::chrono::steady_clock;

/// What became of a request's texts: predictions in order, or the reason why not.
struct BatchResult {
  enum class Status {
    kDone,
    kExpired,    ///< not begun by the deadline
    kStopped,    ///< the batcher stopped
    kFailed,     ///< see error
    kRefused,    ///< pushed out by keys that had queued less: as good as never admitted
    kCancelled,  ///< nobody waits for the result
  };
  Status status = Status::kDone;
  /// One a text when kDone. When kFailed or kCancelled what was computed all the same, others being of 0 tokens.
  std::vector<nn::Prediction> predictions;
  std::exception_ptr error;  ///< set when kFailed
};

/// Set by whoever waits for a result when it does not any more.
using CancelToken = std::shared_ptr<const std::atomic<bool>>;

struct BatchRequest {
  std::shared_ptr<const nn::TextClassifier> classifier;  ///< not null; requests of one are computed together
  std::vector<std::string> texts;
  BatchClock::time_point deadline = BatchClock::time_point::max();
  std::string key;  ///< keys are served in turn; empty: the anonymous one
  /// The model's queue may hold so much, if that is less than what the Batcher allows any; those of the last request
  /// count.
  std::size_t queue_texts = ModelLimits::kNone, queue_tokens = ModelLimits::kNone;
  CancelToken cancelled;                        ///< may be null
  std::shared_ptr<ModelStatistics> statistics;  ///< may be null
  bool background = false;                      ///< computed when no other request waits
  /// Called for each text in place of predicting it, by its index and on any worker; a throw makes the result kFailed.
  std::function<nn::Prediction(std::size_t text)> work;
  std::size_t work_cost = 1;  ///< of a text, in predictions of it
};

struct BatchJob {
  BatchRequest request;
  std::function<void(BatchResult)> done;
  BatchClock::time_point queued;
  std::size_t taken = 0;                    // texts handed to a worker
  std::atomic<std::size_t> unfinished = 0;  // texts without a result
  std::vector<nn::Prediction> predictions;  // one a text
  std::atomic<bool> expired = false;        // before its first text was begun
  std::atomic<bool> failed = false;
  std::exception_ptr error;  // of the first failure

  bool gone() const { return request.cancelled && request.cancelled->load(std::memory_order_relaxed); }
};
using JobPointer = std::shared_ptr<BatchJob>;

/// Texts [begin, end) of a job.
struct BatchSlice {
  JobPointer job;
  std::size_t begin;
  std::size_t end;
};

/// Models share the compute time, and within a model the keys share the tokens: whoever has been served least is next
/// (start-time fair queueing, Goyal et al. 1996). A model's queue is bounded by texts and by estimated tokens; when it
/// is full the newest requests of the key that has queued most make room for a key that has queued less.
class BatchQueue {
 public:
  using Lane = std::pair<bool, const nn::TextClassifier*>;  ///< {background, model}

  BatchQueue(std::size_t texts, std::size_t tokens) : most_texts_(texts), most_tokens_(tokens) {}

  /// What texts [begin, end) of a request cost, in the tokens that they may be expected to become: enough to bound and
  /// to share by.
  static std::size_t tokens_of(const BatchRequest& request, std::size_t begin, std::size_t end);

  struct Pushed {
    bool admitted;
    std::vector<JobPointer> pushed_out;
  };
  Pushed push(const JobPointer& job);
  /// Whether push() would admit the smallest of requests with this key.
  bool would_admit(const Lane& lane, const std::string& key) const;
  bool empty() const { return queued_ == 0; }
  std::size_t tokens() const { return tokens_; }  ///< estimated, of all that waits
  /// The lane to serve next; the queue must not be empty.
  Lane next() const;
  /// About `tokens` of the least served key of a lane, but one text at least; nothing when the lane is empty. Texts of
  /// other work come one at a time, alone, and only with `work`; the key's next request goes before the next of them.
  std::vector<BatchSlice> take(const Lane& lane, std::size_t tokens, bool work);
  /// Compute time that a lane has used.
  void charge(const Lane& lane, double seconds);
  /// Removes what is past its deadline or cancelled, and not begun.
  std::vector<JobPointer> remove_dead(BatchClock::time_point now);
  std::vector<JobPointer> remove_all();

 private:
  struct Flow {
    std::deque<JobPointer> jobs;
    double served = 0;  // tokens
    std::size_t texts = 0, tokens = 0;
    std::multimap<double, Flow*>::iterator place;  // in the lane's order; valid when there are jobs
  };
  struct Requests {
    std::map<std::string, Flow> flows;
    std::multimap<double, Flow*> order;  // of those with jobs, by served
    double floor = 0;                    // what the flow served last had been served before
    double served = 0;                   // seconds
    std::size_t texts = 0, tokens = 0;
    std::size_t most_texts = 0, most_tokens = 0;
  };

  void leave(Requests& lane, Flow& flow, const BatchJob& job, std::size_t begin, std::size_t end);
  static bool has_room(const Requests& lane, std::size_t texts, std::size_t tokens);
  bool make_room(Requests& lane, const Flow& flow, std::size_t texts, std::size_t tokens, std::vector<JobPointer>& out);
  void push_out(Requests& lane, Flow& flow, std::vector<JobPointer>& out);
  void remove_idle();

  const std::size_t most_texts_, most_tokens_;
  std::map<Lane, Requests> lanes_;
  double floor_ = 0;
  std::size_t queued_ = 0;  // jobs
  std::size_t tokens_ = 0;  // of all lanes
};

}  // namespace qing::serve
