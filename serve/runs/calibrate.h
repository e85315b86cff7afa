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

/// A temperature and the texts that it rests on.
struct Calibration {
  double temperature = 1;
  int64_t texts = 0;
  int64_t wrong = 0;  ///< of the texts, those whose label the model does not give
};

/// Why the temperature is uncertain: it lies on a bound of its range, or fewer than 10 texts are wrong, or fewer than
/// 10 are right. Ten events a parameter is the rule for logistic regressions (Peduzzi et al. 1996), and the temperature
/// is the parameter of one. Empty when nothing is wrong.
std::string calibration_warning(const Calibration& calibration);

/// Evaluates the model in the folder on each dev set, fits the temperature to all of them together (nn/calibration.h)
/// and writes it into config.json. The evaluations have the new temperature. IoError, DataError.
std::pair<Calibration, std::vector<std::pair<std::string, Evaluation>>> calibrate(const std::filesystem::path& folder,
                                                                                  std::span<const LabelledFile> dev);

}  // namespace qing::serve::cli
