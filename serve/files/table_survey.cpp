#include "table_survey.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <qing/nn/data/similar_labels.h>
#include <qing/nn/fingerprint.h>
#include <qing/nn/text/normalizer.h>
#include <qing/nn/utf8.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/files/length_counter.h>
#include <qing/serve/files/scripts.h>

namespace qing::serve {
namespace {

constexpr size_t kExamples = 3;
constexpr size_t kShownColumns = 200;  // whose values are shown
constexpr std::int64_t kFewTexts = 10;

void survey_fields(std::vector<ColumnSurvey>& columns, const std::vector<std::string>& names,
                   const std::vector<std::string>& fields, int64_t rows_before) {
  while (columns.size() < std::min(names.size(), kShownColumns)) {
    columns.push_back({.name = names[columns.size()], .examples = {}, .empty = rows_before});
  }
  for (size_t i = 0; i < columns.size(); ++i) {
    if (i >= fields.size() || fields[i].empty()) {
      ++columns[i].empty;
    } else if (auto& seen = columns[i].examples; seen.size() < kExamples && std::ranges::count(seen, fields[i]) == 0) {
      seen.push_back(fields[i]);
    }
  }
}

struct SeenText {
  std::string_view label;  // in the map of labels
  size_t line;
};

std::string times(int64_t count, const char* one, const char* many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

void warn_of_few(const TableSurvey& one, const std::map<std::string, int64_t>& labels,
                 std::vector<std::string>& warnings) {
  for (const auto& [label, count] : labels) {
    if (count < kFewTexts) {
      warnings.push_back(fmt::format("{}: the label '{}' has only {}; give it more, or merge it", one.file, label,
                                     times(count, "row", "rows")));
    }
  }
}

void warn_of_sets(const TableSurvey& one, std::vector<std::string>& warnings) {
  if (!one.label_columns.empty()) {
    warnings.push_back(
        fmt::format("{}: the columns {} mark a label each; train with --multi-label 1 --label-columns {}", one.file,
                    fmt::join(one.label_columns, ", "), fmt::join(one.label_columns, ",")));
    return warn_of_few(one, one.sets.labels, warnings);
  }
  const char separator = one.sets.separator;
  const std::string option =
      separator == 0 || separator == '|' ? "" : fmt::format(" --label-separator '{}'", separator);
  warnings.push_back(fmt::format("{}: rows have several labels, such as '{}'; train with --multi-label 1{}", one.file,
                                 one.sets.example, option));
  warn_of_few(one, one.sets.labels, warnings);
}

void warn_of_labels(const TableSurvey& one, std::vector<std::string>& warnings) {
  if (!one.label_columns.empty()) return warn_of_sets(one, warnings);
  if (!one.missing_column.empty()) {
    warnings.push_back(fmt::format("{}: there is no column '{}', which --label-column names; see the list of columns",
                                   one.file, one.missing_column));
    return;
  }
  if (one.label_column.empty()) {
    warnings.push_back(fmt::format("{}: no column of labels was found; name it with --label-column", one.file));
    return;
  }
  if (!one.sets.labels.empty()) return warn_of_sets(one, warnings);
  if (one.labels.size() == 1) {
    warnings.push_back(
        fmt::format("{}: all rows have one label, '{}'; a classifier needs two", one.file, one.labels.begin()->first));
  }
  const int64_t labelled = one.rows - one.empty_rows - one.unlabelled;
  if (labelled >= kFewTexts && 2 * std::ssize(one.labels) + 2 * one.other_labels > labelled) {
    warnings.push_back(fmt::format("{}: most rows have a label of their own; is '{}' the column of the labels?",
                                   one.file, one.label_column));
    return;
  }
  for (const std::string& doubt : nn::doubtful_labels(one.labels)) warnings.push_back(one.file + ": " + doubt);
  warn_of_few(one, one.labels, warnings);
}

void warn_of_rows(const TableSurvey& one, std::vector<std::string>& warnings) {
  const auto warn = [&](int64_t count, const char* what) {
    if (count > 0) warnings.push_back(fmt::format("{}: {} {}", one.file, times(count, "row", "rows"), what));
  };
  warn(one.bad_rows, "cannot be read; see the list, and --bad-rows skip");
  warn(one.empty_rows, "without a text");
  if (one.sets.labels.empty() && one.label_columns.empty()) warn(one.unlabelled, "without a label");
  warn(one.contradictions, "with the text of another row and another label");
  if (one.duplicates * 20 > one.rows) warn(one.duplicates, "that repeat an earlier one");
}

}  // namespace

TableSurvey survey_table(const std::filesystem::path& file, const nn::DatasetOptions& options,
                         const std::function<int64_t(std::string_view)>& tokens_of) {
  TableSurvey survey;
  survey.file = file.string();
  nn::DatasetOptions counted = options;
  counted.on_bad_row = [&survey](const nn::LineError& error) {
    if (++survey.bad_rows > static_cast<int64_t>(TableSurvey::kShown)) return;
    survey.errors.push_back({static_cast<int64_t>(error.line()), error.reason()});
  };
  nn::RowOptions rows = row_options(options);
  rows.needs_label = rows.needs_text = false;
  rows.keeps_fields = rows.several_labels = true;
  rows.label_separator = '|';  // the survey reads the fields with each
  nn::LabelledRowReader reader(file, rows);
  LengthCounter characters, tokens;
  LabelSetSurvey sets(options.label_separator);
  std::unordered_map<uint64_t, SeenText> seen;
  while (const std::optional<nn::LabelledRow> row = next_row(reader, counted)) {
    const std::vector<std::string>& fields = reader.table().fields();
    survey_fields(survey.columns, reader.table().columns(), fields, survey.rows);
    ++survey.rows;
    if (nn::is_blank(row->text)) {
      ++survey.empty_rows;
      continue;
    }
    characters.add(static_cast<int64_t>(nn::count_characters(row->text)));
    if (tokens_of) tokens.add(tokens_of(row->text));
    ++survey.languages[std::string(language_by_script(row->text))];
    sets.add(*row, reader.format());
    std::string_view label;
    if (row->label.empty()) {
      ++survey.unlabelled;
    } else if (auto found = survey.labels.find(row->label);
               found != survey.labels.end() || survey.labels.size() < TableSurvey::kLabels) {
      if (found == survey.labels.end()) found = survey.labels.emplace(row->label, 0).first;
      ++found->second;
      label = found->first;
    } else {
      ++survey.other_labels;
    }
    const auto [before, is_new] = seen.try_emplace(nn::fingerprint(row->text), SeenText{label, row->line});
    if (is_new) continue;
    if (before->second.label == label) {
      ++survey.duplicates;
      continue;
    }
    ++survey.contradictions;
    if (survey.contradicting.size() < TableSurvey::kShown) {
      survey.contradicting.push_back({before->second.line, row->line, std::string(before->second.label), row->label});
    }
  }
  survey.sets = reader.label_columns().empty()
                    ? sets.found(survey.labels, std::ssize(survey.labels) + survey.other_labels)
                    : sets.of_lists();
  survey.written = reader.table().description();
  survey.text_column = reader.text_column();
  survey.label_column = reader.label_column();
  survey.label_columns = reader.label_columns();
  if (survey.label_column.empty() && options.label_column != nn::DatasetOptions{}.label_column) {
    survey.missing_column = options.label_column;
  }
  for (const std::string& column : survey.label_columns) survey.sets.labels.try_emplace(column, 0);
  survey.characters = characters.lengths();
  survey.tokens = tokens.lengths();
  survey.texts.reserve(seen.size());
  for (const auto& [text, where] : seen) survey.texts.push_back(text);
  std::ranges::sort(survey.texts);
  return survey;
}

int64_t shared_texts(const TableSurvey& a, const TableSurvey& b) {
  int64_t shared = 0;
  for (auto i = a.texts.begin(), j = b.texts.begin(); i != a.texts.end() && j != b.texts.end();) {
    if (*i == *j)
      ++shared, ++i, ++j;
    else if (*i < *j)
      ++i;
    else
      ++j;
  }
  return shared;
}

std::vector<std::string> survey_warnings(std::span<const TableSurvey> train, std::span<const TableSurvey> dev) {
  std::vector<std::string> warnings;
  for (const auto& files : {train, dev}) {
    for (const TableSurvey& one : files) {
      warn_of_rows(one, warnings);
      warn_of_labels(one, warnings);
    }
  }
  const auto warn_of_shared = [&](const TableSurvey& a, const TableSurvey& b, const char* consequence) {
    const int64_t shared = shared_texts(a, b);
    if (shared == 0) return;
    if (a.texts == b.texts) {
      warnings.push_back(fmt::format("{} has the same texts as {}; {}", b.file, a.file, consequence));
    } else {
      warnings.push_back(fmt::format("{} of {} of {} are also in {}; {}", shared, how_many(b.texts.size(), "text"),
                                     b.file, a.file, consequence));
    }
  };
  for (size_t i = 0; i < train.size(); ++i) {
    for (const TableSurvey& other : train.subspan(i + 1)) warn_of_shared(train[i], other, "they count twice");
    for (const TableSurvey& other : dev) warn_of_shared(train[i], other, "scores on them are too high");
  }
  for (const TableSurvey& one : dev) {
    const bool several = std::ranges::any_of(train, [](const TableSurvey& two) { return !two.sets.labels.empty(); });
    for (const auto& [label, count] : several && !one.sets.labels.empty() ? one.sets.labels : one.labels) {
      const bool known = std::ranges::any_of(train, [&, &label = label](const TableSurvey& other) {
        return other.labels.contains(label) || other.sets.labels.contains(label) || other.other_labels > 0;
      });
      if (!known) warnings.push_back(fmt::format("{}: no training row has the label '{}'", one.file, label));
    }
  }
  return warnings;
}

}  // namespace qing::serve
