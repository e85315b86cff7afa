// Texts without labels, for training by teachers and for pretraining.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>

namespace qing::nn {

/// Reads a whole file as a LabelledRowReader does, without its labels. Blank lines of a .txt file are skipped.
/// LineError "path:line: ..." for errors of that reader and for a blank text, DataError for a file without texts.
/// IoError.
std::vector<Example> read_unlabelled(const std::filesystem::path& path, const DatasetOptions& options = {});

}  // namespace qing::nn
