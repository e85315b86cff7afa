// Counts texts by their length.
#pragma once

#include <cstdint>
#include <vector>

namespace qing::serve {

/// Lengths of texts. The median and the 95th percentile are at most kLongest.
struct TextLengths {
  static constexpr std::int64_t kLongest = 8192;
  std::int64_t least = 0, median = 0, percentile_95 = 0, most = 0;
  double mean = 0;
};

/// Needs memory for the lengths up to kLongest. Not thread-safe.
class LengthCounter {
 public:
  void add(std::int64_t length);
  TextLengths lengths() const;  ///< All 0 without texts.

 private:
  // The shortest length such that at least this share of the texts is not longer.
  std::int64_t at(double share) const;

  std::vector<std::int64_t> texts_ = std::vector<std::int64_t>(TextLengths::kLongest + 1);
  std::int64_t least_ = 0, most_ = 0, count_ = 0, sum_ = 0;
};

}  // namespace qing::serve
