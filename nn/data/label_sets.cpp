#include <qing/nn/data/label_sets.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace qing::nn {
namespace {

std::string_view without_blanks_around(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

// The items of a list in brackets, whose items are in quotes of either kind, or bare words and numbers. Nothing for
// text of another form.
std::optional<std::vector<std::string>> items_of_list(std::string_view field) {
  if (field.size() < 2 || !field.starts_with('[') || !field.ends_with(']')) return std::nullopt;
  field = field.substr(1, field.size() - 2);
  std::vector<std::string> items;
  for (;;) {
    field = without_blanks_around(field);
    if (field.empty()) return items;
    std::string& item = items.emplace_back();
    if (const char quote = field.front(); quote == '"' || quote == '\'') {
      size_t at = 1;
      for (; at < field.size() && field[at] != quote; ++at) {
        if (field[at] == '\\' && at + 1 < field.size()) ++at;
        item += field[at];
      }
      if (at == field.size()) return std::nullopt;
      field = without_blanks_around(field.substr(at + 1));
    } else {
      const size_t end = std::min(field.find(','), field.size());
      item = without_blanks_around(field.substr(0, end));
      if (item.empty() || item.find_first_of("\"'[]") != item.npos) return std::nullopt;
      field = field.substr(end);
    }
    if (field.empty()) return items;
    if (!field.starts_with(',')) return std::nullopt;
    field.remove_prefix(1);
  }
}

}  // namespace

std::vector<std::string> split_labels(std::string_view field, char separator) {
  field = without_blanks_around(field);
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
    std::string label(without_blanks_around(one));
    if (!label.empty() && std::ranges::find(labels, label) == labels.end()) labels.push_back(std::move(label));
  }
  return labels;
}

std::string joined_labels(std::span<const std::string> labels) { return fmt::format("{}", fmt::join(labels, "|")); }

bool is_label_list(std::string_view field) { return items_of_list(without_blanks_around(field)).has_value(); }

std::optional<std::string> looks_like_label_sets(const std::map<std::string, int64_t>& counts) {
  for (const char separator : kLabelSeparators) {
    std::map<std::string, int64_t> parts;
    const std::string* example = nullptr;
    for (const auto& [field, rows] : counts) {
      const std::vector<std::string> labels = split_labels(field, separator);
      if (labels.size() > 1 && example == nullptr) example = &field;
      for (const std::string& label : labels) parts[label] += rows;
    }
    const bool repeats = std::ranges::all_of(parts, [](const auto& part) { return part.second > 1; });
    if (example != nullptr && parts.size() < counts.size() && repeats) return *example;
  }
  return std::nullopt;
}

}  // namespace qing::nn
