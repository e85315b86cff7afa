// Fields of tables that hold several labels.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qing::nn {

/// The labels of a field in their order, each once and without blanks around it. The field is a list as JSON or Python
/// writes it, ["a", "b"] or ['a', 'b'], an answer as Label Studio writes it into CSV, {"choices": ["a", "b"]}, or names
/// between separators. Empty names do not count, so that an empty field has no labels.
std::vector<std::string> split_labels(std::string_view field, char separator);

/// The labels as one field, "a|b".
std::string joined_labels(std::span<const std::string> labels);

/// Whether the field is such a list or answer, so that nothing separates its labels.
bool is_label_list(std::string_view field);

/// The separators that are guessed, the likeliest first.
inline constexpr std::array<char, 3> kLabelSeparators = {'|', ';', ','};

/// Says that the labels of a file, which were read as one label a row, are rather several: some fields are lists or
/// have a separator, and either the names between separators are fewer than the fields and each occurs more than once,
/// or a label between '|' or ';' is also the whole field of another row. The result is an example of such a field;
/// empty: they are single labels. `counts` are rows by label.
std::optional<std::string> looks_like_label_sets(const std::map<std::string, int64_t>& counts);

}  // namespace qing::nn
