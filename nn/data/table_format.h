// The formats of tables, and what may be said of how a table is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qing::nn {

enum class TableFormat : uint8_t { tsv, csv, text, fasttext, json, xlsx };
std::string_view name_of(TableFormat format);  ///< "TSV", "CSV", "text", "fastText", "JSON", "XLSX"

struct TableOptions {
  char delimiter = 0;                 ///< of CSV and TSV: a comma, a semicolon, a tab or another ASCII sign; 0: guessed
  std::string encoding = {};          ///< a name that iconv knows, such as "cp1252"; empty: guessed
  std::string sheet = {};             ///< of a workbook; empty: the first that is visible
  bool lines_without_suffix = false;  ///< a file without a suffix is read as .txt, lines of text unless a table shows
  /// Names that a header probably has. They help to guess the delimiter and to tell a table from lines of text.
  std::vector<std::string> known_columns = {};
  /// A line of fastText may have several labels, or none; its field "label" then has blanks between them.
  bool several_labels = false;
  size_t max_row_bytes = 1 << 20;  ///< a longer line, record, object or sheet's row is refused, not truncated
};

/// Most lines or rows of a title above the header of a table: each has one filled field.
inline constexpr size_t kMostTitleLines = 5;

}  // namespace qing::nn
