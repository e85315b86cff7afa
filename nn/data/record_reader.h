// Reads records of TSV, CSV (RFC 4180) and JSONL in bounded memory. Columns are found by name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <qing/nn/data/line_reader.h>

namespace qing::nn {

enum class RecordFormat : uint8_t { tsv, csv, jsonl };

/// Returns the format of the suffix .tsv, .csv or .jsonl in either case. DataError for another suffix.
RecordFormat record_format_of(const std::filesystem::path& path);

/// The fields of a record, in the order of RecordReader::header(), each valid UTF-8.
using Record = std::vector<std::string>;

struct RecordOptions {
  std::vector<std::string> columns = {};           ///< the fields of a record, in this order; empty: every column
  std::vector<std::string> optional_columns = {};  ///< follow `columns`; the field of a missing column is empty
  bool strings_only = false;        ///< JSONL: refuse numbers, booleans and null instead of converting them to text
  size_t max_line_bytes = 1 << 20;  ///< a longer line or CSV record is refused, not truncated
  /// Names that a column may have instead, the first that is there counts. In JSONL only where it holds a string.
  std::map<std::string, std::vector<std::string>> other_names = {};
  char delimiter = 0;             ///< between the fields of TSV and CSV; 0: a tab or a comma
  bool quotes_in_tsv = false;     ///< TSV has quotes as CSV has
  size_t skip_lines = 0;          ///< in front of the header, such as Excel's "sep=;"
  bool repeated_columns = false;  ///< without `columns`, a name may appear twice in the header
  bool refuse_nul = false;        ///< a NUL byte in a row of TSV or CSV is an error
};

/// The bytes of a file. IoError when it cannot be opened.
ByteInput input_of(const std::filesystem::path& path);

/// TSV has no quoting unless the options say so: tabs separate the fields. A quoted CSV field may contain commas, line
/// breaks and doubled quotes. TSV and CSV begin with a header. A line of JSONL is an object. Without `columns` the
/// fields of the first object are the columns. Blank lines and leading byte order marks are skipped. Lines end with LF
/// or CRLF.
///
/// Every error in the data is a LineError "path:line: what; remedy" with the line where the record begins. After an
/// error of a record, next() continues with the line after it. Errors are an empty file, a missing column, a column
/// that appears twice in the header (only requested columns count, if any), a wrong number of fields, text after a
/// closing quote, a quote that is never closed, a line that is not a JSON object, an object that repeats a name, a
/// field of another kind, a line over the limit, and invalid UTF-8 (with its own line). Memory is bounded by the limit
/// of a line. Not thread-safe.
class RecordReader {
 public:
  /// The format is given or comes from the suffix. IoError when the file cannot be read, ValueError for a column
  /// requested twice.
  explicit RecordReader(const std::filesystem::path& path, RecordOptions options = {});
  RecordReader(const std::filesystem::path& path, RecordFormat format, RecordOptions options = {});
  /// Reads from any input. `name` identifies it in messages.
  RecordReader(std::string name, RecordFormat format, ByteInput input, RecordOptions options = {});

  const std::vector<std::string>& header() const { return header_; }  ///< The names of a record's fields.
  std::optional<Record> next();                                       ///< Nothing at the end.
  size_t line() const { return line_; }                               ///< First line of the last record, from 1.
  /// Throws a LineError at the last record, for checks that only the caller can make.
  [[noreturn]] void fail(const std::string& what) const { lines_.fail(what, line_); }
  /// Throws a LineError at the header.
  [[noreturn]] void fail_at_header(const std::string& what) const { lines_.fail(what, header_line_); }

 private:
  void find_columns(const Record& names);
  void check_nul(std::string_view line) const;
  std::optional<Record> next_row();
  std::optional<Record> next_plain();
  std::optional<Record> next_quoted();
  std::optional<Record> next_object();

  LineReader lines_;
  RecordFormat format_;
  RecordOptions options_;
  std::vector<std::string> header_;
  char delimiter_ = ',';
  bool quoted_ = false;  // fields may have quotes
  size_t line_ = 0, header_line_ = 1;
  size_t columns_ = 0;                                 // TSV, CSV: fields of a row
  std::vector<std::optional<size_t>> source_columns_;  // TSV, CSV: where each field of a record stands in its row
  std::optional<Record> first_;                        // JSONL: what was read to know the names
};

}  // namespace qing::nn
