// Counts texts by their length.
#pragma once

#include <cstdint>
#include <vector>

#include <qing/serve/files/dataset.h>

namespace qing::serve {

/// Needs memory for the lengths up to DatasetReport::Lengths::kLongest. Not thread-safe.
class LengthCounter {
 public:
  void add(std::int64_t length);
  DatasetReport::Lengths lengths() const;  ///< All 0 without texts.

 private:
  // The shortest length such that at least this share of the texts is not longer.
  std::int64_t at(double share) const;

  std::vector<std::int64_t> texts_ = std::vector<std::int64_t>(DatasetReport::Lengths::kLongest + 1);
  std::int64_t least_ = 0, most_ = 0, count_ = 0, sum_ = 0;
};

}  // namespace qing::serve
