// Fitting a trained model's temperature to its dev sets.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <qing/serve/runs/data_files.h>
#include <qing/serve/runs/evaluation.h>

namespace qing::serve::cli {

/// A temperature and the texts that it was fitted to.
struct Calibration {
  double temperature = 1;
  int64_t texts = 0;
  int64_t wrong = 0;  ///< number of misclassified texts
};

/// Says why the temperature is uncertain: it is a bound of its range, or fewer than 10 texts are misclassified, or
/// fewer than 10 are classified correctly. Ten events per parameter is the rule for logistic regressions (Peduzzi et
/// al. 1996), and the temperature is the parameter of one. Empty for a certain temperature.
std::string calibration_warning(const Calibration& calibration);

/// Evaluates the model in the folder on each dev set, fits the temperature to all of them together (nn/calibration.h)
/// and writes it to config.json. The returned evaluations have the new temperature. IoError, DataError.
std::pair<Calibration, std::vector<std::pair<std::string, Evaluation>>> calibrate(const std::filesystem::path& folder,
                                                                                  std::span<const LabelledFile> dev);

}  // namespace qing::serve::cli
