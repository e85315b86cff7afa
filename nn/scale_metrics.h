// Metrics of predictions on a scale: labels with an order, and numbers.
#pragma once

#include <span>
#include <vector>

#include <qing/nn/metrics.h>

namespace qing::nn {

/// Cohen's kappa with quadratic weights (Cohen 1968): 1 − Σ (i − j)²·found(i, j) / Σ (i − j)²·by chance(i, j) over the
/// labels' indices i and j, as scikit-learn's cohen_kappa_score(weights="quadratic") has it. 1 for perfect agreement, 0
/// for that of chance. 0 where no disagreement is possible by chance, and without examples.
double quadratic_weighted_kappa(const ConfusionMatrix& matrix);

/// The mean distance between the places of the expected and of the predicted label, one place for each label. 0 without
/// examples. ShapeError for another number of places.
double mean_absolute_error(const ConfusionMatrix& matrix, std::span<const double> places);

/// Below, both spans have one number for each example (ShapeError). Thread-safe.

double mean_absolute_error(std::span<const double> expected, std::span<const double> predicted);      ///< 0 without any
double mean_squared_error(std::span<const double> expected, std::span<const double> predicted);       ///< 0 without any
double root_mean_squared_error(std::span<const double> expected, std::span<const double> predicted);  ///< 0 without any
/// Pearson's correlation coefficient, as scipy.stats.pearsonr has it; 0 where one side does not vary.
double pearson_correlation(std::span<const double> expected, std::span<const double> predicted);
/// Spearman's: that of the ranks, where equal numbers share their mean rank, as scipy.stats.spearmanr has it.
double spearman_correlation(std::span<const double> expected, std::span<const double> predicted);

/// The ranks of the values from 1; equal values share the mean of theirs, as scipy.stats.rankdata has it. Thread-safe.
std::vector<double> ranks_of(std::span<const double> values);

}  // namespace qing::nn
