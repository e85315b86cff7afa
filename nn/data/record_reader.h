// Records of TSV, CSV (RFC 4180) and JSONL, columns found by name, read in a bounded amount of memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <qing/nn/data/line_reader.h>

namespace qing::nn {

enum class RecordFormat : uint8_t { tsv, csv, jsonl };

/// By the suffix .tsv, .csv or .jsonl in either case; DataError for another.
RecordFormat record_format_of(const std::filesystem::path& path);

/// The fields of a record, in the order of RecordReader::header(), each valid UTF-8.
using Record = std::vector<std::string>;

struct RecordOptions {
  std::vector<std::string> columns = {};           ///< the fields of a record, in this order; empty: every column
  std::vector<std::string> optional_columns = {};  ///< follow; a field whose column is missing is empty
  bool strings_only = false;                       ///< JSONL: refuse numbers, booleans and null, which else become text
  size_t max_line_bytes = 1 << 20;                 ///< a longer line, or CSV record, is refused, not cut
};

/// TSV has no quoting: a field is what stands between tabs. A CSV field may be quoted, then holds commas, line breaks
/// and doubled quotes. TSV and CSV begin with a header. A line of JSONL is an object; without `columns` the first one's
/// fields are those of all. Blank lines are skipped, lines end with LF or CRLF, byte order marks in front are skipped.
///
/// Every error in the data is a DataError "path:line: what; remedy", with the line where the record begins: an empty
/// file, a missing column, a column that stands twice in the header (of those asked for, if any are), a wrong count of
/// fields, text after a closing quote, a quote that is never closed, no JSON object, an object that repeats a name, a
/// field of another kind, a line over the limit, invalid UTF-8 (with its own line). Memory is bounded by the limit of a
/// line. Not thread-safe.
class RecordReader {
 public:
  /// The format comes from the suffix, or is given. IoError when it cannot be read; ValueError for a column asked for
  /// twice.
  explicit RecordReader(const std::filesystem::path& path, RecordOptions options = {});
  RecordReader(const std::filesystem::path& path, RecordFormat format, RecordOptions options = {});
  /// Reads from anywhere; `name` stands for the text in messages.
  RecordReader(std::string name, RecordFormat format, ByteInput input, RecordOptions options = {});

  const std::vector<std::string>& header() const { return header_; }  ///< The names of a record's fields.
  std::optional<Record> next();                                       ///< Nothing at the end.
  size_t line() const { return line_; }                               ///< Where the last record begins, from 1.
  /// Throws DataError "path:line: what" at the last record, for what only the caller can check.
  [[noreturn]] void fail(const std::string& what) const { lines_.fail(what, line_); }

 private:
  void find_columns(const Record& names);
  std::optional<Record> next_row();
  std::optional<Record> next_tsv();
  std::optional<Record> next_csv();
  std::optional<Record> next_object();

  LineReader lines_;
  RecordFormat format_;
  RecordOptions options_;
  std::vector<std::string> header_;
  size_t line_ = 0;
  size_t columns_ = 0;                                 // TSV, CSV: fields of a row
  std::vector<std::optional<size_t>> source_columns_;  // TSV, CSV: where each field of a record stands in its row
  std::optional<Record> first_;                        // JSONL: what was read to know the names
};

}  // namespace qing::nn
