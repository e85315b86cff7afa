// Whether a model should be trained again, and why.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <qing/nn/intervals.h>
#include <qing/nn/models/data_profile.h>
#include <qing/serve/state/feedback.h>

namespace qing::serve {

/// Agreement of feedback with a version's answers in a span of time.
struct AgreementSpan {
  std::int64_t from = 0, until = 0;  ///< seconds since 1970 (UTC); the end is excluded
  std::int64_t feedback = 0, agreed = 0;
  std::int64_t numbers = 0;   ///< feedback on numbers, which has an error in place of agreement
  double absolute_error = 0;  ///< the mean of these
  double agreement() const { return feedback == 0 ? 0 : static_cast<double>(agreed) / static_cast<double>(feedback); }
  nn::Interval interval() const { return nn::wilson_interval(agreed, feedback); }  ///< 95%
};

struct ModelReport {
  /// drift: the labels' population stability index is above 0.25. unknown_tokens: their share is above twice that of
  /// the reference, and more than 1% higher. agreement: the interval of the last 30 days lies below that of the time
  /// before; answers that are numbers do not count. feedback: so many texts with their right labels are kept that
  /// training on them may help.
  struct Reason {
    std::string code = {}, message = {};
  };
  std::string model = {};
  std::int64_t version = 0;
  std::vector<Reason> reasons = {};  ///< empty: the model need not be trained again
  std::int64_t texts = 0;            ///< recent ones, behind drift and unknown tokens
  std::optional<double> drift = {}, unknown_share = {}, reference_unknown_share = {};
  std::vector<AgreementSpan> agreement = {};  ///< of the version: 30 days each, the newest first; without empty spans
  std::int64_t feedback = 0, kept = 0;        ///< of all versions
};

/// What a report is made of. Null profiles: there is none.
struct ReportInput {
  std::string model = {};
  std::int64_t version = 0;
  const nn::DataProfile* reference = nullptr;
  const nn::DataProfile* recent = nullptr;
  std::int64_t now = 0;
};

inline constexpr std::int64_t kKeptFeedbackForTraining = 500;
inline constexpr std::int64_t kReportSpan = std::int64_t{30} * 86400;

/// IoError.
ModelReport report_on(const ReportInput& input, FeedbackStore& feedback);
std::string to_json(const ModelReport& report);

}  // namespace qing::serve
