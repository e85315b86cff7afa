// Finds ranks that keep the others waiting.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace qing::optim {

struct SlowRank {
  int rank;
  double factor;  ///< its seconds over the median of the others'
};

/// Compares the seconds that ranks compute. Not thread-safe.
class SlowRanks {
 public:
  static constexpr int64_t kSteps = 20;     ///< steps that are compared together
  static constexpr double kSlow = 1.5;      ///< a rank with this factor or more is slow
  static constexpr int64_t kPatience = 10;  ///< comparisons until the same rank is named again

  /// Adds the seconds of a step, by rank. Returns the slowest rank after every kSteps steps, if it is slow and was not
  /// named just before.
  std::optional<SlowRank> add(std::span<const double> seconds);

 private:
  std::vector<double> sums_;
  std::vector<int64_t> named_;  // by rank: the comparison that named it last
  int64_t steps_ = 0, comparisons_ = 0;
};

}  // namespace qing::optim
