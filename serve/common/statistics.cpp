#include "statistics.h"

#include <algorithm>

namespace qing::serve {

Histogram::Histogram(std::span<const double> bounds)
    : bounds_(bounds.begin(), bounds.end()), counts_(bounds.size() + 1) {}

void Histogram::observe(double value) {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  counts_[static_cast<size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

Histogram::Reading Histogram::read() const {
  Reading reading{bounds_, {}, 0, sum_.load(std::memory_order_relaxed)};
  for (const Counter& count : counts_) {
    reading.counts.push_back(count.load(std::memory_order_relaxed));
    reading.count += reading.counts.back();
  }
  return reading;
}

std::span<const double> seconds_buckets() {
  static constexpr double kBounds[] = {1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05,
                                       0.1,  0.25,   0.5,  1,    2.5,    5,    10,   30};
  return kBounds;
}

std::span<const double> size_buckets() {
  static constexpr double kBounds[] = {1,   2,    4,    8,    16,   32,    64,    128,  256,
                                       512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};
  return kBounds;
}

std::shared_ptr<ModelStatistics> Statistics::model(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto found = models_.find(name);
  if (found != models_.end()) return found->second;
  return models_.emplace(name, std::make_shared<ModelStatistics>()).first->second;
}

RouteStatistics& Statistics::route(std::string_view pattern) {
  const std::lock_guard lock(mutex_);
  const auto found = routes_.find(pattern);
  if (found != routes_.end()) return *found->second;
  return *routes_.emplace(pattern, std::make_unique<RouteStatistics>()).first->second;
}

void Statistics::for_each_model(const std::function<void(const std::string&, const ModelStatistics&)>& visit) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, statistics] : models_) visit(name, *statistics);
}

void Statistics::for_each_route(const std::function<void(const std::string&, const RouteStatistics&)>& visit) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [pattern, statistics] : routes_) visit(pattern, *statistics);
}

}  // namespace qing::serve
