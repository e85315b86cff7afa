// Requests of each version of each model.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

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

/// Thread-safe.
class VersionStatistics {
 public:
  void add(const std::string& model, std::int64_t version, bool failed, std::chrono::duration<double> time) {
    const std::lock_guard lock(mutex_);
    VersionCounts& counts = counts_[{model, version}];
    ++counts.requests;
    if (failed) ++counts.failed;
    counts.seconds += time.count();
  }
  VersionCounts read(const std::string& model, std::int64_t version) const {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find({model, version});
    return found == counts_.end() ? VersionCounts() : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::int64_t>, VersionCounts> counts_;
};

}  // namespace qing::serve
