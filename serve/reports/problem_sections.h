// Sections of the cards of models of several labels and of numbers. Text is Markdown.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <qing/serve/runs/multi_label_evaluation.h>
#include <qing/serve/runs/number_evaluation.h>

namespace qing::serve::cli {

/// Tables of the measures: of each dev set, and in each one of the labels and the sources.
std::string scores_markdown(const std::vector<std::pair<std::string, MultiLabelEvaluation>>& dev);
std::string scores_markdown(const std::vector<std::pair<std::string, NumberEvaluation>>& dev);

/// What the thresholds are and how they were fitted.
std::string thresholds_markdown(const ThresholdCalibration& calibration);

}  // namespace qing::serve::cli
