// Requests and predictions of each version of each model.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <qing/nn/models/prediction.h>
#include <qing/serve/common/statistics.h>

namespace qing::serve {

struct VersionCounts {
  std::int64_t requests = 0;  ///< answered or failed; without those that the client gave up
  std::int64_t failed = 0;    ///< answered with a status of 500 or above
  double seconds = 0;         ///< from a request's admission to its answer, summed over the requests

  VersionCounts operator-(const VersionCounts& before) const {
    return {requests - before.requests, failed - before.failed, seconds - before.seconds};
  }
  double mean_seconds() const { return requests == 0 ? 0 : seconds / static_cast<double>(requests); }
};

/// Thread-safe. What is counted is kept until the process ends, also of versions that are served no more.
class VersionStatistics {
 public:
  struct Reading {
    std::string model;
    std::int64_t version;
    VersionCounts counts;
    Histogram::Reading seconds;                   ///< of the requests in VersionCounts
    std::map<std::string, std::uint64_t> labels;  ///< predictions
  };

  void add(const std::string& model, std::int64_t version, bool failed, std::chrono::duration<double> time);
  /// The labels of the predictions are indices into `labels`. With `several`, a prediction counts for each of the
  /// labels that it has.
  void add_predictions(const std::string& model, std::int64_t version, const std::vector<std::string>& labels,
                       std::span<const nn::Prediction> predictions, bool several = false);
  VersionCounts read(const std::string& model, std::int64_t version) const;
  /// All versions, by model and number.
  std::vector<Reading> read_all() const;

 private:
  struct Entry {
    VersionCounts counts;
    std::unique_ptr<Histogram> seconds = std::make_unique<Histogram>(seconds_buckets());
    std::map<std::string, std::uint64_t> labels;
  };

  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::int64_t>, Entry> entries_;
};

}  // namespace qing::serve
