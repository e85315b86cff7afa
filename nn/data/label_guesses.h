// Columns that mark one label each: what their cells say, and which columns of a file they seem to be.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/data/table_format.h>

namespace qing::nn {

/// What a cell in the column of one label says: true for 1, true, yes and 1.0, false for 0, false, no and 0.0, in
/// either case and between blanks. Nothing for any other cell, also an empty one. Pandas writes 1.0 and 0.0 for a
/// column that had an empty cell.
std::optional<bool> mark_of(std::string_view cell);

/// The columns that seem to mark one label each: at least nine of ten of the first 1000 rows hold a mark in them
/// (mark_of), and there are two such columns or more. Columns with one of the names `others`, in either case, do not
/// count. Empty if the file has a column with one of `label_names`, holds chat examples or tasks of Label Studio, which
/// have their labels inside, or is no regular file, which could not be read twice. In the order of the file. Errors of
/// the whole file are those of TableReader; bad rows do not count.
std::vector<std::string> guessed_label_columns(const std::filesystem::path& file, const TableOptions& table,
                                               std::span<const std::string> label_names,
                                               std::span<const std::string> others);

}  // namespace qing::nn
