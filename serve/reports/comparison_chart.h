// The chart of a comparison: differences with their intervals.
#pragma once

#include <string>
#include <vector>

#include <qing/nn/intervals.h>

namespace qing::serve::cli {

/// One line of the chart.
struct DifferenceRow {
  std::string name;  ///< of the metric, the source or the label
  double difference = 0;
  nn::Interval interval = {};
  std::string note = {};  ///< at the right end, such as a p-value
};

struct DifferenceGroup {
  std::string title;
  std::vector<DifferenceRow> rows;
};

/// SVG: a dot and its interval for each row, in percentage points, on a common axis with a line at 0.
std::string difference_chart(const std::string& title, const std::vector<DifferenceGroup>& groups);

}  // namespace qing::serve::cli
