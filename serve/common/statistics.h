// What the service counts about itself: written by transport, service and batcher, read by whoever reports it. Counters
// only grow, gauges go up and down; all are lock-free to write and safe from any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qing::serve {

using Counter = std::atomic<std::uint64_t>;
using Gauge = std::atomic<std::int64_t>;

/// Counts of values below fixed upper bounds, as a Prometheus histogram has them.
class Histogram {
 public:
  /// `bounds` ascend; a last bucket without a bound takes what is above them.
  explicit Histogram(std::span<const double> bounds);
  void observe(double value);

  struct Reading {
    std::vector<double> bounds;
    std::vector<std::uint64_t> counts;  ///< one per bound, not cumulative, then one for higher values
    std::uint64_t count = 0;
    double sum = 0;
  };
  Reading read() const;

 private:
  const std::vector<double> bounds_;
  std::vector<Counter> counts_;
  std::atomic<double> sum_ = 0;
};

/// 100 µs to 30 s, in steps of about 2.
std::span<const double> seconds_buckets();
/// Powers of two from 1 to 65536.
std::span<const double> size_buckets();

/// One model's requests on their way through the batcher, all its versions together.
struct ModelStatistics {
  Counter requests = 0;   ///< admitted to the queue
  Counter refused = 0;    ///< refused or evicted because the queue was full
  Counter expired = 0;    ///< not started by their deadline
  Counter cancelled = 0;  ///< dropped because the client had left, or had got its 504
  Counter failed = 0;     ///< the model threw
  Counter texts = 0;      ///< computed
  Counter tokens = 0;     ///< computed, special ones included
  Counter cached = 0;     ///< texts answered from the cache
  Counter batches = 0;    ///< computed
  Gauge queued_requests = 0;
  Gauge queued_texts = 0;
  Gauge queued_tokens = 0;  ///< estimated: texts are tokenized when their turn comes
  Histogram batch_texts{size_buckets()};
  Histogram batch_tokens{size_buckets()};
  Histogram queue_seconds{seconds_buckets()};    ///< from admission to a request's first text taken
  Histogram compute_seconds{seconds_buckets()};  ///< of a batch
  Counter shadow_texts = 0;                      ///< answered by a shadow version too
  Counter shadow_agreed = 0;                     ///< of these, with the same label
  Counter shadow_difference = 0;  ///< of their scores: the mean over the labels, summed over the texts, in millionths
  Counter shadow_dropped = 0;     ///< texts that a shadow version had no room, no time or no finite scores for
  Counter canary_requests = 0;    ///< given to the version on trial
};

/// One route's requests, by the pattern that routed them.
struct RouteStatistics {
  std::array<Counter, 500> by_status{};  ///< index status - 100
  Histogram seconds{seconds_buckets()};  ///< from the first byte of a request to its response being ready
};

struct ConnectionStatistics {
  Gauge open = 0;
  Counter accepted = 0;
  Counter turned_away = 0;  ///< over a cap
  Counter timed_out = 0;    ///< cut by the deadline of a handshake, a request or a response
};

class Statistics {
 public:
  /// The entry of that name, made on first use. Callers pass names of models and patterns of routes, never a client's
  /// text: entries are for ever.
  std::shared_ptr<ModelStatistics> model(std::string_view name);
  /// Valid as long as the Statistics.
  RouteStatistics& route(std::string_view pattern);

  void for_each_model(const std::function<void(const std::string&, const ModelStatistics&)>& visit) const;
  void for_each_route(const std::function<void(const std::string&, const RouteStatistics&)>& visit) const;

  ConnectionStatistics connections;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<ModelStatistics>, std::less<>> models_;
  std::map<std::string, std::unique_ptr<RouteStatistics>, std::less<>> routes_;
};

}  // namespace qing::serve
