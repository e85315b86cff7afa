// Which model answered which request: for feedback, which comes later.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <qing/nn/models/prediction.h>
#include <qing/nn/problem.h>

namespace qing::serve {

/// An answered request. It has no texts.
struct LoggedAnswer {
  std::string model = {};
  std::int64_t version = 0;
  std::int64_t answered = 0;  ///< microseconds since 1970; different for every answer
  nn::Problem problem = nn::Problem::single_label;
  /// Labels by index: one per text, or of a multi-label model those of one text after the other.
  std::vector<std::int32_t> predicted = {};
  std::vector<std::int32_t> ends = {};                     ///< of a multi-label model: where each text's labels end
  std::vector<double> values = {};                         ///< of a regression: one number per text
  std::shared_ptr<const std::vector<std::string>> labels;  ///< the model's label names

  size_t texts() const;
  /// The labels of a text, by index; none of a regression. `text` is below texts().
  std::span<const std::int32_t> labels_of(size_t text) const;
  size_t size() const { return predicted.size() + ends.size() + values.size(); }  ///< in labels, for the bounds
};

/// Remembers answers for a bounded time, and no more than a bounded number of answers and labels: the oldest go first.
/// Nothing is written to the disk. Thread-safe.
class AnswerLog {
 public:
  struct Bounds {
    size_t answers = 100'000;
    size_t labels = 1'000'000;  ///< of all answers together; a number counts as one
    std::chrono::seconds time = std::chrono::hours(24);
  };
  using Clock = std::function<std::chrono::microseconds()>;  ///< since 1970
  static std::chrono::microseconds system_time();

  explicit AnswerLog(Bounds bounds, Clock clock = system_time) : bounds_(bounds), clock_(std::move(clock)) {}
  AnswerLog() : AnswerLog(Bounds{}) {}

  /// A later answer to the same request id of the same project replaces the earlier one.
  void add(const std::string& project, const std::string& request, const std::string& model, std::int64_t version,
           const std::vector<std::string>& labels, std::span<const nn::Prediction> predictions,
           nn::Problem problem = nn::Problem::single_label);
  /// Nothing for an unknown request, and for one of another project.
  std::optional<LoggedAnswer> find(const std::string& project, const std::string& request);

 private:
  using Key = std::pair<std::string, std::string>;  // {project, request}
  void forget_old(std::int64_t now);
  std::shared_ptr<const std::vector<std::string>> shared(const std::string& model, std::int64_t version,
                                                         const std::vector<std::string>& labels);

  const Bounds bounds_;
  const Clock clock_;
  std::mutex mutex_;
  std::map<Key, LoggedAnswer> answers_;
  std::deque<std::pair<std::int64_t, Key>> order_;  // {answered, key}; also of answers that were replaced
  size_t labels_ = 0;
  std::int64_t last_ = 0;
  std::map<std::pair<std::string, std::int64_t>, std::weak_ptr<const std::vector<std::string>>> names_;
};

}  // namespace qing::serve
