// Fields of tables that hold several labels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/data/labelled_texts.h>

namespace qing::nn {

/// The labels of a field in their order, each once and without blanks around it. The field is a list as JSON or Python
/// writes it, ["a", "b"] or ['a', 'b'], or names between separators. Empty names do not count, so that an empty field
/// has no labels.
std::vector<std::string> split_labels(std::string_view field, char separator);

/// The labels as one field, "a|b".
std::string joined_labels(std::span<const std::string> labels);

/// What separates the labels in fields of the files: the first of '|', ';' and ',' that some field has outside of a
/// list, and '|' if none has. options.label_separator does not count. IoError; DataError for what is no regular file,
/// which cannot be read twice. Rows that cannot be read do not count.
char guess_label_separator(std::span<const std::filesystem::path> files, const DatasetOptions& options);

/// Says that the labels of a file, which were read as one label a row, are rather several: some fields are lists or
/// have a separator, and the names between separators are fewer than the fields and each occurs more than once. The
/// result is an example of such a field; empty: they are single labels. `counts` are rows by label.
std::optional<std::string> looks_like_label_sets(const std::map<std::string, int64_t>& counts);

}  // namespace qing::nn
