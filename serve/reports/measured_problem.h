// What `qing train` measures at the end of a model of several labels or of numbers.
#pragma once

#include <span>
#include <vector>

#include <qing/nn/models/data_profile.h>
#include <qing/nn/problem.h>
#include <qing/serve/reports/model_card.h>
#include <qing/serve/runs/data_files.h>
#include <qing/serve/runs/run_directory.h>

namespace qing::serve::cli {

/// Evaluates the model of the run on the dev sets, for its card. Of several labels it fits the thresholds first, writes
/// them to the model and says so on stderr, and writes run/precision_recall.svg. `profiles` get what was predicted of
/// each set. Empty without dev sets. IoError, DataError.
MeasuredProblem measure_problem(const RunDirectory& run, nn::Problem problem, std::span<const LabelledFile> dev,
                                std::vector<nn::DataProfile>& profiles);

}  // namespace qing::serve::cli
