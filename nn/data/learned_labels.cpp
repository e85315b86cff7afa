#include <qing/nn/data/learned_labels.h>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include <qing/nn/data/labelled_rows.h>

namespace qing::nn {
namespace {

std::optional<int64_t> whole_number(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

}  // namespace

std::map<std::string, int64_t> learn_labels(std::span<const std::filesystem::path> files,
                                            const DatasetOptions& options) {
  std::map<std::string, int64_t> all;
  for (const std::filesystem::path& file : files) {
    LabelledRowReader rows(file, row_options(options));
    for (const std::string& column : rows.label_columns()) all.try_emplace(options.map(column), 0);
    while (const std::optional<LabelledRow> row = next_row(rows, options)) {
      if (options.problem != Problem::multi_label) ++all[options.map(row->label)];
      for (const std::string& label : row->labels) ++all[options.map(label)];
      if (all.size() <= kMostLearnedLabels) continue;
      rows.fail(
          fmt::format("there are more than {} different labels; is '{}' the column of the labels? If so, give "
                      "all of them with the option labels",
                      kMostLearnedLabels, options.label_column));
    }
  }
  return all;
}

std::vector<std::string> labels_of_columns(std::span<const std::filesystem::path> files,
                                           const DatasetOptions& options) {
  std::vector<std::string> labels;
  if (options.problem != Problem::multi_label) return labels;
  for (const std::filesystem::path& file : files) {
    const LabelledRowReader rows(file, row_options(options));
    for (const std::string& column : rows.label_columns()) {
      const std::string& label = options.map(column);
      if (std::ranges::count(labels, label) == 0) labels.push_back(label);
    }
  }
  return labels;
}

std::vector<std::string> in_order(const std::map<std::string, int64_t>& counts) {
  std::vector<std::string> labels;
  labels.reserve(counts.size());
  for (const auto& [label, count] : counts) labels.push_back(label);
  if (std::ranges::all_of(labels, [](const std::string& label) { return whole_number(label).has_value(); })) {
    std::ranges::stable_sort(labels, {}, [](const std::string& label) { return *whole_number(label); });
  }
  return labels;
}

}  // namespace qing::nn
