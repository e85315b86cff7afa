// Whether a trained model does better than a guess.
#pragma once

#include <span>
#include <string>

#include <qing/nn/problem.h>
#include <qing/serve/runs/data_files.h>
#include <qing/serve/runs/metrics_log.h>

namespace qing::serve::cli {

/// Says that the best evaluation on the dev sets is no better than guessing, within two standard errors:
/// "macro-recall 0.3333 on 30 dev texts is no better than guessing (0.3333)". The measure is macro-recall of single
/// labels, quadratic weighted kappa of ordered ones, and Pearson's correlation of numbers. Empty for a better model,
/// without evaluations, and for several labels, whose thresholds are fitted to the dev sets.
std::string no_better_than_guessing(const Metrics& metrics, nn::Problem problem, std::span<const LabelledFile> dev);

}  // namespace qing::serve::cli
