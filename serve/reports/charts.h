// The two pictures of a training: how the loss went down, and what is taken for what.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <qing/nn/metrics.h>
#include <qing/serve/runs/metrics_log.h>

namespace qing::serve::cli {

/// SVG: the training loss over the steps, as it is and smoothed, and below it each dev set's macro-recall.
std::string loss_chart(const Metrics& metrics);

/// SVG: a confusion matrix for each name, a row an expected label, with counts and shares of the row.
std::string confusion_chart(const std::vector<std::string>& labels,
                            const std::vector<std::pair<std::string, nn::ConfusionMatrix>>& matrices);

}  // namespace qing::serve::cli
