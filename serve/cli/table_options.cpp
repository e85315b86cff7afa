#include <qing/serve/cli/table_options.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>
#include <utility>

#include <qing/nn/data/text_encoding.h>
#include <qing/nn/text/normalizer.h>
#include <qing/serve/cli/config_file.h>
#include <qing/serve/cli/option_names.h>
#include <qing/serve/common/usage_error.h>

namespace qing::serve::cli {
namespace {

constexpr int64_t kShownRows = 20;

char delimiter_named(const std::string& name, const char* option = "--delimiter") {
  if (name.empty()) return 0;
  static constexpr std::array<std::pair<std::string_view, char>, 6> kNames = {
      {{"tab", '\t'}, {"\\t", '\t'}, {"comma", ','}, {"semicolon", ';'}, {"pipe", '|'}, {"space", ' '}}};
  for (const auto& [known, sign] : kNames) {
    if (name == known) return sign;
  }
  const char sign = name.front();
  if (name.size() == 1 && sign > 0 && sign != '"' && sign != '\r' && sign != '\n') return sign;
  throw UsageError(fmt::format("{} {}: give one ASCII sign, or tab, comma, semicolon or pipe", option, name));
}

void check_columns_given(const TableArguments& a) {
  if (a.label_columns.empty()) return;
  check_names("--label-columns", a.label_columns);
  const bool other_column = a.label_column != TableArguments{}.label_column;
  if (!other_column && a.label_separator.empty()) return;
  throw UsageError(fmt::format("--label-columns {}: the labels are in these columns, so leave {} out",
                               list_text(a.label_columns), other_column ? "--label-column" : "--label-separator"));
}

}  // namespace

void check_names(const char* option, std::span<const std::string> names) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (nn::is_blank(names[i])) throw UsageError(fmt::format("{}: a name is empty; give names between commas", option));
    if (std::ranges::count(names.first(i), names[i]) == 0) continue;
    throw UsageError(fmt::format("{}: '{}' is given twice; give each name once", option, names[i]));
  }
}

void check_label_columns(const TableArguments& arguments, nn::Problem problem) {
  if (problem == nn::Problem::multi_label) return;
  if (!arguments.label_columns.empty()) {
    throw UsageError(fmt::format("--label-columns: a {} model has no labels in several columns; give --label-column",
                                 name_of(problem)));
  }
  if (!arguments.label_separator.empty()) {
    throw UsageError(
        fmt::format("--label-separator: a {} model has no several labels in a field; leave it out", name_of(problem)));
  }
}

void add_table_options(CLI::App& command, TableArguments& a, bool labels, const std::string& group) {
  command
      .add_option("--text-column", a.text_column,
                  "Column of the texts; in JSON also a path such as data.text. Usual names such as review or 内容 are "
                  "found without it")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
  if (labels) {
    command
        .add_option("--label-column", a.label_column,
                    "Column of the labels. Usual names such as sentiment, stars or 标签 are found without it")
        ->type_name("NAME")
        ->capture_default_str()
        ->group(group);
    command
        .add_option("--label-separator", a.label_separator,
                    "Separator of several labels in a field, for multi-label models: one sign, or pipe, semicolon or "
                    "comma. It is guessed without this option")
        ->type_name("SIGN")
        ->group(group);
    add_list(&command, "--label-columns", a.label_columns,
             "Columns of one label each, for multi-label models: 1 or 0, true or false, yes or no in each row. They "
             "are guessed in a table without a column of labels. A comma of a name stands behind a backslash")
        ->type_name("NAMES")
        ->group(group);
  }
  command
      .add_option("--delimiter", a.delimiter,
                  "Separator of the fields of .csv, .tsv and .txt: one sign, or tab, comma, semicolon or pipe. It is "
                  "guessed without this option")
      ->type_name("SIGN")
      ->group(group);
  command
      .add_option("--encoding", a.encoding,
                  "Encoding of the file, such as utf-8, utf-16, gb18030 or cp1252. It is guessed without this option")
      ->type_name("NAME")
      ->group(group);
  command.add_option("--sheet", a.sheet, "Sheet of a workbook (.xlsx). The default is the first that is not hidden")
      ->type_name("NAME")
      ->group(group);
  command
      .add_option("--bad-rows", a.bad_rows,
                  "What a row that cannot be read does: stop the command, or be skipped, listed and counted")
      ->check(CLI::IsMember({"stop", "skip"}))
      ->capture_default_str()
      ->group(group);
}

void SkippedRows::add(const nn::LineError& error) {
  if (++count_ <= kShownRows) fmt::print(stderr, "qing: skipped {}\n", with_option_names(error.what()));
}

void SkippedRows::report() {
  if (count_ > 0) fmt::print(stderr, "qing: warning: {} {} skipped\n", count_, count_ == 1 ? "row was" : "rows were");
}

nn::DatasetOptions dataset_options(const TableArguments& a, SkippedRows& skipped) {
  nn::DatasetOptions options;
  options.text_column = a.text_column;
  options.label_column = a.label_column;
  options.table.delimiter = delimiter_named(a.delimiter);
  options.table.sheet = a.sheet;
  if (!a.label_separator.empty()) { options.label_separator = delimiter_named(a.label_separator, "--label-separator"); }
  check_columns_given(a);
  options.label_columns = a.label_columns;
  try {
    if (!a.encoding.empty()) options.table.encoding = nn::encoding_named(a.encoding);
  } catch (const ValueError& error) { throw UsageError(fmt::format("--encoding: {}", error.what())); }
  if (a.skips()) options.on_bad_row = [&skipped](const nn::LineError& error) { skipped.add(error); };
  options.on_guess = say_guesses;
  return options;
}

nn::DatasetOptions silent(nn::DatasetOptions options) {
  options.on_guess = {};
  if (options.on_bad_row) options.on_bad_row = [](const nn::LineError&) {};
  return options;
}

void say_guesses(const std::filesystem::path& file, const std::string& guesses) {
  fmt::print(stderr, "qing: reading {} as {}\n", file.string(), guesses);
}

}  // namespace qing::serve::cli
