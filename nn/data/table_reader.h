// Tables of every format that qing reads, a row at a time: text fields by column, with the line of each row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/fwd.hpp>

#include <qing/nn/data/line_reader.h>
#include <qing/nn/data/table_format.h>

namespace qing::nn {

/// Reads one row after another in bounded memory; of a workbook it holds the strings that its cells share. The suffix
/// (.tsv, .csv, .txt, .jsonl, .json, .xlsx) or, without one, the first bytes say the format:
///
/// - CSV and TSV with a header. A field in quotes may hold separators, line breaks and doubled quotes. TSV has quotes
///   only if the file shows that they are meant so: a doubled quote, a tab or a line break inside quotes, and no quote
///   that contradicts. A first line "sep=;" names the separator, as Excel writes it.
/// - text: a text a line, in the column "text".
/// - fastText: "__label__x text" a line, in the columns "label" and "text".
/// - JSON: an object a line, or a list of objects. Columns of nested objects have dots in their names: "data.text".
/// - XLSX: the rows of one sheet below its first row, which is the header.
///
/// Up to kMostTitleLines lines or rows with one filled field are a title, if a header with one of the known columns
/// follows them.
///
/// Bytes are decoded to UTF-8 first. A byte order mark, or else the bytes, tell the encodings of text_encoding.h apart.
/// Bytes that fit none are read as UTF-8, so that their lines are refused.
///
/// LineError "path:line: what; remedy" for a row that cannot be read; next() then continues with the row after it.
/// LineError from the constructor for a file without a row to begin with, DataError for a format that is not read
/// (Parquet, .xls, ...), with what to do. ValueError for an unknown encoding. IoError. Not thread-safe.
class TableReader {
 public:
  explicit TableReader(const std::filesystem::path& path, TableOptions options = {});
  ~TableReader();
  TableReader(TableReader&&) noexcept;
  TableReader& operator=(TableReader&&) noexcept;

  TableFormat format() const;
  /// The names in the file's order. Those of JSON are known as far as fields() was asked for.
  const std::vector<std::string>& columns() const;

  bool next();          ///< To the next row. False at the end.
  size_t line() const;  ///< Where the row begins, from 1; in a workbook the row's number.
  /// The row's fields in the order of columns(), to be read or moved from. A row of JSON may have fewer than there are
  /// columns; those are absent. A list is its JSON, null is empty.
  std::vector<std::string>& fields();
  const boost::json::object* object() const;  ///< The row as JSON; null for other formats.
  std::string_view object_text() const;       ///< The row's object as the file has it, in UTF-8.
  /// Throws a LineError at the row.
  [[noreturn]] void fail(const std::string& what) const;
  /// Throws a LineError at the header.
  [[noreturn]] void fail_at_header(const std::string& what) const;

  /// Such as "CSV separated by ';', Windows-1252" or "XLSX, sheet 'Data'".
  std::string description() const;
  /// Whether format, separator or encoding differ from what the suffix alone says, so that users should be told.
  bool is_guessed() const;
  uint64_t bytes_read() const;  ///< of the file, or of the sheet
  uint64_t bytes() const;       ///< in all; 0 if that is unknown

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qing::nn
