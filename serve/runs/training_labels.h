// The labels of a training: those that are given, those of the model to begin with, or those that the data hold.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>

namespace qing::serve::cli {

struct TrainingLabels {
  std::vector<std::string> labels;
  std::vector<std::string> told;  ///< one line each for people
};

/// The labels `given`, if there are any. Else those of the classifier in `from`, when it has all that the data hold, so
/// that its head is kept. Else those of the data. `reading.labels` does not count. A regression has one name, "value"
/// unless it is given. DataError for data with fewer than two labels (one of a multi-label data set), or with a comma
/// in one that was learned; IoError.
TrainingLabels choose_labels(std::span<const std::filesystem::path> data, const nn::DatasetOptions& reading,
                             const std::vector<std::string>& given, const std::filesystem::path& from);

/// Whether all labels are numbers, so that they have an order by themselves.
bool are_numbers(std::span<const std::string> labels);
/// Whether labels that are numbers ascend, so that no two are the same number.
bool ascend(std::span<const std::string> labels);
/// Sorts labels that are numbers from the lowest to the highest; equal ones stay as they are.
void sort_by_number(std::vector<std::string>& labels);

}  // namespace qing::serve::cli
