#include <qing/nn/data/label_guesses.h>

#include <algorithm>
#include <array>
#include <utility>

#include <qing/nn/data/blanks.h>
#include <qing/nn/data/json_examples.h>
#include <qing/nn/data/json_objects.h>
#include <qing/nn/data/table_reader.h>

namespace qing::nn {
namespace {

bool is_one_of(std::span<const std::string> names, const std::string& column) {
  return std::ranges::any_of(names, [&](const std::string& name) { return same_letters(name, column); });
}

}  // namespace

std::optional<bool> mark_of(std::string_view cell) {
  cell = trimmed(cell);
  static constexpr std::array<std::pair<std::string_view, bool>, 8> kMarks = {{{"0", false},
                                                                               {"1", true},
                                                                               {"0.0", false},
                                                                               {"1.0", true},
                                                                               {"false", false},
                                                                               {"true", true},
                                                                               {"no", false},
                                                                               {"yes", true}}};
  for (const auto& [mark, value] : kMarks) {
    if (same_letters(cell, mark)) return value;
  }
  return std::nullopt;
}

std::vector<std::string> guessed_label_columns(const std::filesystem::path& file, const TableOptions& table,
                                               std::span<const std::string> label_names,
                                               std::span<const std::string> others) {
  constexpr int64_t kRows = 1000;
  if (!std::filesystem::is_regular_file(file)) return {};
  TableReader reader(file, table);
  // The marks of each column. A row of JSON without the column has none.
  std::vector<int64_t> marks;
  int64_t read = 0;
  for (int64_t row = 0; row < kRows; ++row) {
    try {
      if (!reader.next()) break;
      if (const auto* object = reader.object(); object != nullptr && (is_chat(*object) || is_task(*object))) return {};
      const std::vector<std::string>& fields = reader.fields();
      marks.resize(reader.columns().size());
      for (size_t i = 0; i < std::min(fields.size(), marks.size()); ++i) marks[i] += mark_of(fields[i]) ? 1 : 0;
      ++read;
    } catch (const LineError&) {}  // the second reading says what is wrong
  }
  std::vector<std::string> columns;
  for (size_t i = 0; i < marks.size(); ++i) {
    const std::string& name = reader.columns()[i];
    if (is_one_of(label_names, name)) return {};
    const bool is_label = marks[i] > 0 && marks[i] * 10 >= read * 9;
    if (is_label && !is_one_of(others, name)) columns.push_back(name);
  }
  return columns.size() < 2 ? std::vector<std::string>() : columns;
}

}  // namespace qing::nn
