#include "version_statistics.h"

namespace qing::serve {

void VersionStatistics::add(const std::string& model, std::int64_t version, bool failed,
                            std::chrono::duration<double> time) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[{model, version}];
  ++entry.counts.requests;
  if (failed) ++entry.counts.failed;
  entry.counts.seconds += time.count();
  entry.seconds->observe(time.count());
}

void VersionStatistics::add_predictions(const std::string& model, std::int64_t version,
                                        const std::vector<std::string>& labels,
                                        std::span<const nn::Prediction> predictions, bool several) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[{model, version}];
  for (const nn::Prediction& prediction : predictions) {
    if (!several) ++entry.labels[labels[static_cast<size_t>(prediction.label)]];
    for (const std::int32_t label : prediction.labels) ++entry.labels[labels[static_cast<size_t>(label)]];
  }
}

VersionCounts VersionStatistics::read(const std::string& model, std::int64_t version) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find({model, version});
  return found == entries_.end() ? VersionCounts() : found->second.counts;
}

std::vector<VersionStatistics::Reading> VersionStatistics::read_all() const {
  const std::lock_guard lock(mutex_);
  std::vector<Reading> all;
  all.reserve(entries_.size());
  for (const auto& [key, entry] : entries_) {
    all.push_back({key.first, key.second, entry.counts, entry.seconds->read(), entry.labels});
  }
  return all;
}

}  // namespace qing::serve
