// Data sets for training a classifier: what a file holds, and its usable rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/problem.h>
#include <qing/serve/files/length_counter.h>

namespace qing::serve {

/// Why a row of a data set is not usable.
struct RowError {
  std::int64_t line;  ///< where the row begins, from 1
  std::string message;
};

/// What a file of labelled rows holds. The formats are those of nn::LabelledRowReader.
struct DatasetReport {
  static constexpr size_t kErrors = 100;      ///< most errors in a report; `wrong` counts all
  static constexpr size_t kLabels = 1000;     ///< most different labels; a row with another one is not usable
  static constexpr size_t kLabelBytes = 256;  ///< longest label; a row with a longer one is not usable

  std::string format;  ///< nn::name_of() of the last usable row's format; empty without usable rows
  /// What the labels of the file seem to be, by its first rows: single_label, multi_label, or regression for numbers.
  nn::Problem problem = nn::Problem::single_label;
  std::int64_t rows = 0;         ///< usable ones
  std::int64_t wrong = 0;        ///< rows that are not usable
  std::vector<RowError> errors;  ///< the first kErrors of them
  /// Usable rows by label. A row of several labels counts for each, and numbers are not counted.
  std::map<std::string, std::int64_t> labels;
  std::map<std::string, std::int64_t> languages;  ///< usable rows by language_by_script()
  std::int64_t duplicates = 0;                    ///< usable rows that repeat the text and label of an earlier one
  std::int64_t contradictions = 0;                ///< texts that have more than one label, set of labels or number
  using Lengths = TextLengths;
  Lengths lengths;  ///< characters of the usable texts
  /// Of the usable rows' numbers; zeros without numbers.
  struct Numbers {
    double least = 0, mean = 0, most = 0;
  };
  Numbers numbers = {};
};

/// Reads all rows in bounded memory. A file that cannot be read as rows at all has one error and no usable row. IoError
/// when the file, or a temporary file in its folder, cannot be read or written.
DatasetReport examine_dataset(const std::filesystem::path& file);

/// Parts of the report as JSON: [{"line", "message"}], {"name": count}, and the members of Lengths by name.
std::string errors_json(const DatasetReport& report);
std::string counts_json(const std::map<std::string, std::int64_t>& counts);
std::string lengths_json(const DatasetReport::Lengths& lengths);
std::string numbers_json(const DatasetReport& report);  ///< "null" unless the labels are numbers
/// One JSON object with the members of the report.
std::string to_json(const DatasetReport& report);
DatasetReport report_from_json(const std::string& text);  ///< DataError

/// What to do with rows that are not usable.
enum class BadRows { kRefuse, kSkip };

struct Dataset {
  std::vector<std::string> labels;  ///< the names by index
  std::vector<nn::Example> examples;
  std::int64_t skipped = 0;  ///< rows
};

/// The usable rows in their order, as `reading` says. If its labels are empty, they are those of the file as
/// `qing train` orders them: those of columns in the order of the columns, whole numbers by their value and others by
/// their bytes. Numbers have the label "value" then. With kRefuse, nn::LineError for the first row that is not usable
/// or has another label. DataError when no row is left, and for a column of one label each that is no label of
/// `reading`. IoError. nn::split_by_hash() divides the examples when there is no other file to validate on.
Dataset read_dataset(const std::filesystem::path& file, BadRows bad, nn::DatasetOptions reading);

}  // namespace qing::serve
