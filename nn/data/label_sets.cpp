#include <qing/nn/data/label_sets.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include <qing/nn/data/blanks.h>

namespace qing::nn {
namespace {

// What stands behind `mark` and blanks; nothing if the text does not begin with it.
std::optional<std::string_view> behind(std::string_view text, std::string_view mark) {
  if (!text.starts_with(mark)) return std::nullopt;
  return trimmed(text.substr(mark.size()));
}

// The list of an answer {"choices": [...]}; a field of another form as it is.
std::string_view without_choices(std::string_view field) {
  std::optional<std::string_view> rest = behind(field, "{");
  if (rest) rest = behind(*rest, "\"choices\"");
  if (rest) rest = behind(*rest, ":");
  return rest && rest->ends_with('}') ? trimmed(rest->substr(0, rest->size() - 1)) : field;
}

// The items of a list in brackets, whose items are in quotes of either kind, or bare words and numbers. Nothing for
// text of another form.
std::optional<std::vector<std::string>> items_of_list(std::string_view field) {
  field = without_choices(trimmed(field));
  if (field.size() < 2 || !field.starts_with('[') || !field.ends_with(']')) return std::nullopt;
  field = field.substr(1, field.size() - 2);
  std::vector<std::string> items;
  for (;;) {
    field = trimmed(field);
    if (field.empty()) return items;
    std::string& item = items.emplace_back();
    if (const char quote = field.front(); quote == '"' || quote == '\'') {
      size_t at = 1;
      for (; at < field.size() && field[at] != quote; ++at) {
        if (field[at] == '\\' && at + 1 < field.size()) ++at;
        item += field[at];
      }
      if (at == field.size()) return std::nullopt;
      field = trimmed(field.substr(at + 1));
    } else {
      const size_t end = std::min(field.find(','), field.size());
      item = trimmed(field.substr(0, end));
      if (item.empty() || item.find_first_of("\"'[]") != item.npos) return std::nullopt;
      field = field.substr(end);
    }
    if (field.empty()) return items;
    if (!field.starts_with(',')) return std::nullopt;
    field.remove_prefix(1);
  }
}

// Whether a label of a field with several is also a field by itself.
bool a_part_stands_alone(const std::map<std::string, int64_t>& counts, char separator) {
  return std::ranges::any_of(counts, [&](const auto& field) {
    const std::vector<std::string> labels = split_labels(field.first, separator);
    return labels.size() > 1 &&
           std::ranges::any_of(labels, [&](const std::string& label) { return counts.contains(label); });
  });
}

}  // namespace

std::vector<std::string> split_labels(std::string_view field, char separator) {
  field = trimmed(field);
  std::vector<std::string> found;
  if (auto items = items_of_list(field)) {
    found = *std::move(items);
  } else {
    for (size_t begin = 0; begin <= field.size();) {
      const size_t end = std::min(field.find(separator, begin), field.size());
      found.emplace_back(field.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  std::vector<std::string> labels;
  for (const std::string& one : found) {
    std::string label(trimmed(one));
    if (!label.empty() && std::ranges::find(labels, label) == labels.end()) labels.push_back(std::move(label));
  }
  return labels;
}

std::string joined_labels(std::span<const std::string> labels) { return fmt::format("{}", fmt::join(labels, "|")); }

bool is_label_list(std::string_view field) { return items_of_list(field).has_value(); }

std::optional<std::string> looks_like_label_sets(const std::map<std::string, int64_t>& counts) {
  for (const char separator : kLabelSeparators) {
    std::map<std::string, int64_t> parts;
    const std::string* example = nullptr;
    for (const auto& [field, rows] : counts) {
      const std::vector<std::string> labels = split_labels(field, separator);
      if (labels.size() > 1 && example == nullptr) example = &field;
      for (const std::string& label : labels) parts[label] += rows;
    }
    if (example == nullptr) continue;
    const bool repeats = std::ranges::all_of(parts, [](const auto& part) { return part.second > 1; });
    if (parts.size() < counts.size() && repeats) return *example;
    // A comma also stands within names, such as those of places.
    if (separator != ',' && a_part_stands_alone(counts, separator)) return *example;
  }
  return std::nullopt;
}

}  // namespace qing::nn
