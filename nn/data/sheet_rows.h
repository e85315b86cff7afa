// The rows of a sheet below its header, which may stand below a title.
#pragma once

#include <deque>
#include <filesystem>
#include <optional>

#include <qing/nn/data/table_format.h>
#include <qing/nn/data/workbook.h>

namespace qing::nn {

/// Reads a sheet. Its header is the first row with a value. Up to kMostTitleLines rows of one value each are a title
/// instead, if the row below them has two values or more and one of options.known_columns. If one of those rows is a
/// known column too, the row below needs two known columns. Errors are those of SheetReader. Not thread-safe.
class SheetRows {
 public:
  SheetRows(const std::filesystem::path& path, const TableOptions& options);

  const std::optional<SheetRow>& header() const { return header_; }  ///< Nothing for an empty sheet.
  bool titled() const { return titled_; }                            ///< Whether a title stands above the header.
  std::optional<SheetRow> next();                                    ///< Nothing at the end.
  const SheetReader& reader() const { return reader_; }

 private:
  std::optional<SheetRow> take();

  SheetReader reader_;
  std::deque<SheetRow> ahead_;  // that were read to find the header, in their order
  std::optional<SheetRow> header_;
  bool titled_ = false;
};

}  // namespace qing::nn
