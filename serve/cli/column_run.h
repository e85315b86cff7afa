// A table with columns that are computed from its texts: `qing predict --out` and `qing translate --out`.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <qing/serve/cli/table_options.h>
#include <qing/serve/cli/text_command.h>
#include <qing/serve/runs/table_writer.h>

namespace qing::serve::cli {

struct ColumnRun {
  std::filesystem::path file, out;
  TableArguments table;
  std::vector<std::string> columns;     ///< names of the added ones; a taken one gets "predicted_" in front
  std::vector<std::string> depends_on;  ///< what the values depend on beside the table: the model and its options
  bool several_labels = false;          ///< rows of fastText's lines may have several labels
  size_t batch_rows = 512;              ///< that are computed and written together
  /// The values of each text, in the order of the columns. Texts are not blank.
  std::function<std::vector<std::vector<AddedValue>>(const std::vector<std::string>& texts, const Where& where)>
      compute;
};

/// Reads batches of rows, computes and writes them, in order and in bounded memory. A second call with the same
/// arguments goes on where a killed one was. Rows with a blank text get empty values. Shows progress on stderr.
/// UsageError, DataError, IoError.
void add_columns(const ColumnRun& run);

/// The files of a model's folder with their sizes and times, for `depends_on`.
std::vector<std::string> files_of_model(const std::filesystem::path& model);

}  // namespace qing::serve::cli
