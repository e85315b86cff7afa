// The chart of a multi-label evaluation: precision and recall of each label at all thresholds.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <qing/serve/runs/multi_label_evaluation.h>

namespace qing::serve::cli {

/// SVG: one panel a label, the most frequent ones first and at most 60, with a curve for each dev set (at most 6) and a
/// dot at the label's threshold.
std::string precision_recall_chart(const std::vector<std::pair<std::string, MultiLabelEvaluation>>& dev);

}  // namespace qing::serve::cli
