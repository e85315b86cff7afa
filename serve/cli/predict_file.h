// `qing predict --file IN --out OUT`: the table with the predictions added.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <qing/serve/cli/table_options.h>
#include <qing/tensor/dtype.h>

namespace qing::serve::cli {

struct PredictFile {
  std::filesystem::path model;  ///< its folder
  std::filesystem::path file, out;
  DType precision = DType::f32;
  TableArguments table;
  std::vector<std::string> label_columns = {};  ///< labels of a multi-label model that get a column of 1 and 0 each
};

/// Reads batches of rows, predicts and writes them, in bounded memory. A second call with the same arguments goes on
/// where a killed one was. Rows with a blank text get empty values. Shows progress on stderr. UsageError, DataError,
/// IoError.
void predict_file(const PredictFile& arguments);

}  // namespace qing::serve::cli
