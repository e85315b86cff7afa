// Continuous batching of translations: requests join and leave between the steps of the decoder.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <qing/nn/models/translator.h>

namespace qing::serve::translation {

struct TranslationOutcome {
  enum class Status {
    kDone,
    kExpired,  ///< not done by the deadline
    kLeft,     ///< nobody waits for it
    kStopped,  ///< the scheduler stopped
    kFailed,   ///< see error
  };
  Status status = Status::kDone;
  std::vector<nn::Translation> translations;  ///< one for each text when kDone
  std::int64_t tokens = 0;                    ///< read and written, also when not kDone
  std::exception_ptr error;                   ///< set when kFailed
};

struct TranslationJob {
  std::shared_ptr<const nn::Translator> translator;
  std::vector<std::string> texts;
  nn::TranslationDirection direction;
  nn::DecodingOptions options;
  std::string key;  ///< keys share the places in turn; empty: the anonymous one
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  std::function<bool()> left = [] { return false; };  ///< whether nobody waits any more
  /// Called on the scheduler's thread, which they must not hold up: with a text so far after each of its tokens (if
  /// beam_size is 1; from 2048 bytes on after each sixteenth that it grows), with a finished text, and once with the
  /// outcome. They must not throw.
  std::function<void(size_t text, const std::string& so_far)> on_token = nullptr;
  std::function<void(size_t text, const nn::Translation& translation)> on_text = nullptr;
  std::function<void(TranslationOutcome outcome)> on_end;
};

struct SchedulerLimits {
  std::int64_t rows = 128;               ///< hypotheses of one model that are computed together
  size_t cache_bytes = size_t{1} << 29;  ///< keys and values above which no further piece begins
};

/// One thread computes steps, in which every hypothesis of every text that has a place gets its next token. A free
/// place goes to the key with the fewest, then to the request with the fewest, then to the oldest. A request that is
/// left or late gives its places back before the next step. Thread-safe.
class TranslationScheduler {
 public:
  explicit TranslationScheduler(const SchedulerLimits& limits = {});
  /// Stops, as stop() does.
  ~TranslationScheduler();
  TranslationScheduler(const TranslationScheduler&) = delete;
  TranslationScheduler& operator=(const TranslationScheduler&) = delete;

  /// Queues a job. False, with nothing called, when more texts or more tokens than these would wait for its model, or
  /// after stop(). Tokens are those of estimated_tokens().
  bool submit(TranslationJob job, size_t most_waiting_texts, size_t most_waiting_tokens = kUnlimited);
  /// Whether submit() would take a short text for this model.
  bool would_admit(const nn::TaskModel* model, size_t most_waiting_texts,
                   size_t most_waiting_tokens = kUnlimited) const;
  static constexpr size_t kUnlimited = std::numeric_limits<size_t>::max();
  /// Ends all jobs with kStopped and joins the thread.
  void stop();

 private:
  struct Text;
  struct Running;
  struct Place;
  struct Lane;

  void run();
  void take_incoming();
  void drop_lost();
  void admit(Lane& lane);
  Running* next_for(const Lane& lane);
  bool begin_piece(Lane& lane, Running& running);
  void step(Lane& lane);
  void report_tokens(Lane& lane);
  void take_result(Running& running, const Place& place, nn::DecodingResult result);
  void finish_text(Running& running, size_t text);
  void end(Running& running, TranslationOutcome::Status status, std::exception_ptr error = nullptr);
  void remove_ended();
  struct Waiting {
    size_t texts = 0, tokens = 0;
  };
  Waiting waiting_for(const nn::TaskModel* model) const;

  const SchedulerLimits limits_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::list<TranslationJob> incoming_;
  std::map<const nn::TaskModel*, Waiting> waiting_;  // texts that have not begun, of each model
  bool stopping_ = false;
  // Of the thread alone.
  std::list<Running> running_;  // in the order of arrival
  std::map<const nn::Translator*, Lane> lanes_;
  std::thread thread_;
};

}  // namespace qing::serve::translation
