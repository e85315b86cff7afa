// The options that say how tables are read, which all commands that read them have.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>

namespace qing::serve::cli {

struct TableArguments {
  std::string text_column = "text", label_column = "label";
  std::string delimiter = {}, encoding = {}, sheet = {};
  std::string label_separator = {};             ///< of several labels; empty: guessed
  std::vector<std::string> label_columns = {};  ///< of one label each; empty: guessed
  std::string bad_rows = "stop";
  bool skips() const { return bad_rows == "skip"; }
};

/// --text-column, --label-column, --label-separator and --label-columns (if the command reads labels), --delimiter,
/// --encoding, --sheet and --bad-rows.
void add_table_options(CLI::App& command, TableArguments& arguments, bool labels, const std::string& group = "Tables");

/// UsageError unless each name of the option is given once and is not blank.
void check_names(const char* option, std::span<const std::string> names);

/// UsageError if --label-columns is given for a model of another kind than multi-label.
void check_label_columns(const TableArguments& arguments, nn::Problem problem);

/// Rows that were skipped. Prints the first of them on stderr as they come, and their number at the end.
class SkippedRows {
 public:
  void add(const nn::LineError& error);
  void report();  ///< Once, at the end.
  int64_t count() const { return count_; }

 private:
  int64_t count_ = 0;
};

/// How to read a table. Guesses are printed on stderr, and with --bad-rows skip, bad rows go to `skipped`, which must
/// outlive the reading. UsageError for a separator or an encoding that is none, and for columns of labels that are
/// blank or repeated.
nn::DatasetOptions dataset_options(const TableArguments& arguments, SkippedRows& skipped);

/// The same without words on stderr. Bad rows are skipped as before.
nn::DatasetOptions silent(nn::DatasetOptions options);

/// "qing: reading FILE as GUESSES" on stderr.
void say_guesses(const std::filesystem::path& file, const std::string& guesses);

}  // namespace qing::serve::cli
