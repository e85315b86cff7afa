// The card of an image classifier, and the chart beside it.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <qing/nn/metrics.h>
#include <qing/serve/tasks/task_training.h>

namespace qing::serve::image {

using NamedMatrices = std::vector<std::pair<std::string, nn::ConfusionMatrix>>;  ///< of each dev set

/// Markdown. IoError or DataError when the model in the folder cannot be read.
std::string image_card(const std::filesystem::path& model, const TaskFacts& facts, const NamedMatrices& matrices);

/// Writes confusion.svg into the folder, unless there are no matrices. IoError.
void write_confusion(const std::filesystem::path& model, const std::vector<std::string>& labels,
                     const NamedMatrices& matrices);

}  // namespace qing::serve::image
