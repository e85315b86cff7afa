#include <qing/nn/data/sheet_rows.h>

#include <algorithm>
#include <string>
#include <utility>

#include <qing/nn/data/blanks.h>

namespace qing::nn {
namespace {

size_t values_in(const SheetRow& row) {
  return static_cast<size_t>(
      std::ranges::count_if(row.fields, [](const std::string& field) { return !field.empty(); }));
}

size_t names_in(const SheetRow& row, const TableOptions& options) {
  return static_cast<size_t>(std::ranges::count_if(row.fields, [&](const std::string& field) {
    return std::ranges::count(options.known_columns, lowered(trimmed(field))) > 0;
  }));
}

}  // namespace

SheetRows::SheetRows(const std::filesystem::path& path, const TableOptions& options)
    : reader_(path, options.sheet, options.max_row_bytes) {
  size_t names = 1;  // known ones that the header must have
  while (std::optional<SheetRow> row = reader_.next()) {
    ahead_.push_back(*std::move(row));
    const SheetRow& last = ahead_.back();
    if (values_in(last) != 1 || ahead_.size() > kMostTitleLines) break;
    // This row may be the header of a column of texts alone, so one known name below it is no proof.
    if (names_in(last, options) > 0) names = 2;
  }
  if (ahead_.size() > 1) {
    const SheetRow& last = ahead_.back();
    titled_ = last.fault.empty() && values_in(last) > 1 && names_in(last, options) >= names;
  }
  if (titled_) ahead_.erase(ahead_.begin(), ahead_.end() - 1);
  header_ = take();
}

std::optional<SheetRow> SheetRows::take() {
  if (ahead_.empty()) return std::nullopt;
  SheetRow row = std::move(ahead_.front());
  ahead_.pop_front();
  return row;
}

std::optional<SheetRow> SheetRows::next() {
  std::optional<SheetRow> row = take();
  return row ? std::move(row) : reader_.next();
}

}  // namespace qing::nn
