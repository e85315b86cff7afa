// Texts without labels, for training by teachers and for pretraining.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>

namespace qing::nn {

/// The label of an example that has none.
inline constexpr int32_t kNoLabel = -1;

/// Reads a whole file. A .txt file has one text per line, and blank lines are skipped. Other files are read as
/// RecordReader says: options.text_column must be there, options.source_column may be, and no other column counts.
/// DataError "path:line: ..." for errors of these readers, for a blank text, and for a file without texts. IoError.
std::vector<Example> read_unlabelled(const std::filesystem::path& path, const DatasetOptions& options = {});

}  // namespace qing::nn
