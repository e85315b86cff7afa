// Rows of one sheet of an Excel workbook (.xlsx; ECMA-376, SpreadsheetML).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace qing::nn {

/// A row as text. Numbers have the shortest text that reads back as the same number, dates ISO 8601's form, booleans
/// "TRUE" or "FALSE". Formulas have their last value. Empty fields at the end are left out.
struct SheetRow {
  size_t number = 0;  ///< from 1
  std::vector<std::string> fields;
  std::string fault;  ///< why the row cannot be read; empty if it can
};

/// Gives the rows of a sheet that have a cell with a value, from the first to the last, in memory bounded by the
/// workbook's shared strings and the longest row. DataError for a damaged file, a workbook without the sheet, one
/// that is encrypted, and shared strings that need more than 256 MiB. IoError. Not thread-safe.
class SheetReader {
 public:
  static constexpr size_t kStringBytes = size_t{256} << 20;
  /// `sheet` empty: the first one that is not hidden.
  SheetReader(const std::filesystem::path& path, const std::string& sheet, size_t max_row_bytes);
  ~SheetReader();
  SheetReader(SheetReader&&) noexcept;

  std::optional<SheetRow> next();                  ///< Nothing at the end.
  const std::string& sheet() const;                ///< The name.
  const std::vector<std::string>& sheets() const;  ///< The names of all.
  uint64_t bytes_read() const;
  uint64_t bytes() const;  ///< of the sheet

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qing::nn
