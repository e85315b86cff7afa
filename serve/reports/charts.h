// The two charts of a training: the loss curve and the confusion matrix.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <qing/nn/metrics.h>
#include <qing/serve/runs/metrics_log.h>

namespace qing::serve::cli {

/// SVG: the raw and smoothed training loss by step, and below it the macro-recall of each dev set, or of other tasks
/// than classification the score of the evaluations. Evaluations of other
/// models than classifiers of single labels show the mean of their measure instead, as `measure` names it.
std::string loss_chart(const Metrics& metrics, const Measure* measure = nullptr);

/// SVG: a confusion matrix per name. Each row is an expected label, with counts and shares of the row.
std::string confusion_chart(const std::vector<std::string>& labels,
                            const std::vector<std::pair<std::string, nn::ConfusionMatrix>>& matrices);

}  // namespace qing::serve::cli
