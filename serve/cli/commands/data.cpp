// `qing data`: a look at tables before training.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include <qing/nn/text/tokenizer.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/table_options.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/shown_text.h>
#include <qing/serve/files/table_survey.h>

namespace qing::serve::cli {
namespace {

struct DataArguments {
  std::vector<std::filesystem::path> files, dev;
  std::filesystem::path model;  ///< whose tokens are counted; empty: none are
  TableArguments table;
  bool json = false;
};

constexpr size_t kShownValueBytes = 60, kShownLabels = 30;

std::string shown_value(const std::string& text) { return shown_text(text, kShownValueBytes); }

std::string lengths_text(const char* unit, const DatasetReport::Lengths& lengths) {
  return fmt::format("{:<14}{} least, {} median, {:.1f} mean, {} at 95%, {} most\n", unit, lengths.least,
                     lengths.median, lengths.mean, lengths.percentile_95, lengths.most);
}

std::string survey_text(const TableSurvey& one, bool tokens) {
  std::string text = fmt::format("{}\n{:<14}{}\n{:<14}{}\n", one.file, "format", one.written, "rows", one.rows);
  if (one.bad_rows > 0) text += fmt::format("{:<14}{}\n", "bad rows", one.bad_rows);
  for (const RowError& error : one.errors) text += fmt::format("  line {}: {}\n", error.line, error.message);
  if (one.bad_rows > std::ssize(one.errors)) text += "  ...\n";
  text += "columns\n";
  for (const ColumnSurvey& column : one.columns) {
    std::vector<std::string> values;
    for (const std::string& value : column.examples) values.push_back(shown_value(value));
    const bool is_label = column.name == one.label_column || std::ranges::count(one.label_columns, column.name) > 0;
    const char* role = column.name == one.text_column ? " (text)" : is_label ? " (label)" : "";
    text += fmt::format("  {}{}: {}", shown_value(column.name), role, fmt::join(values, " | "));
    if (column.empty > 0) text += fmt::format(" [{} empty]", column.empty);
    text += '\n';
  }
  const auto& shown = one.sets.labels.empty() ? one.labels : one.sets.labels;
  std::vector<std::pair<std::string, int64_t>> labels(shown.begin(), shown.end());
  std::ranges::stable_sort(labels, std::greater<>(), &std::pair<std::string, int64_t>::second);
  text += fmt::format("labels ({})\n", labels.size());
  const int64_t labelled = std::max<int64_t>(one.rows - one.empty_rows, 1);
  for (size_t i = 0; i < std::min(labels.size(), kShownLabels); ++i) {
    text += fmt::format("  {:<24} {:>9} {:>6.1f}%\n", shown_value(labels[i].first), labels[i].second,
                        100 * static_cast<double>(labels[i].second) / static_cast<double>(labelled));
  }
  if (labels.size() > kShownLabels) text += "  ...\n";
  if (!one.sets.labels.empty()) {
    text += fmt::format("{:<14}", "labels a row");
    std::vector<std::string> sizes;
    for (const auto& [size, rows] : one.sets.sizes)
      sizes.push_back(fmt::format("{} ({})", size, how_many(rows, "row")));
    text += fmt::format("{}\n", fmt::join(sizes, ", "));
  }
  text += lengths_text("characters", one.characters);
  if (tokens) text += lengths_text("tokens", one.tokens);
  text += fmt::format("{:<14}", "scripts");
  for (const auto& [language, count] : one.languages) text += fmt::format("{} {}  ", language, count);
  text += fmt::format("\n{:<14}{}\n{:<14}{}\n{:<14}{}\n", "empty rows", one.empty_rows, "duplicates", one.duplicates,
                      "contradictions", fmt::format(" {}", one.contradictions));
  for (const Contradiction& two : one.contradicting) {
    text += fmt::format("  lines {} and {}: '{}' and '{}'\n", two.line, two.other_line, shown_value(two.label),
                        shown_value(two.other_label));
  }
  return text;
}

void write_survey(JsonWriter& json, const TableSurvey& one, bool tokens) {
  json.begin_object().member("file", one.file).member("format", one.written);
  json.member("text_column", one.text_column).member("label_column", one.label_column);
  if (!one.label_columns.empty()) json.member("label_columns", one.label_columns);
  json.member("rows", one.rows).member("bad_rows", one.bad_rows).member("empty_rows", one.empty_rows);
  json.member("unlabelled", one.unlabelled).member("duplicates", one.duplicates);
  json.member("contradictions", one.contradictions).key("errors").begin_array();
  for (const RowError& error : one.errors) {
    json.begin_object().member("line", error.line).member("message", error.message).end();
  }
  json.end().key("columns").begin_array();
  for (const ColumnSurvey& column : one.columns) {
    json.begin_object().member("name", column.name).member("examples", column.examples);
    json.member("empty", column.empty).end();
  }
  json.end().key("labels").raw(counts_json(one.labels)).key("scripts").raw(counts_json(one.languages));
  if (!one.sets.labels.empty()) {
    json.key("label_sets").begin_object().member("separator", std::string(one.sets.separator != 0, one.sets.separator));
    json.key("labels").raw(counts_json(one.sets.labels)).key("sizes").begin_object();
    for (const auto& [size, rows] : one.sets.sizes) json.member(std::to_string(size), rows);
    json.end().end();
  }
  json.key("characters").raw(lengths_json(one.characters));
  if (tokens) json.key("tokens").raw(lengths_json(one.tokens));
  json.key("contradicting").begin_array();
  for (const Contradiction& two : one.contradicting) {
    json.begin_object().key("lines").begin_array().value(two.line).value(two.other_line).end();
    json.key("labels").begin_array().value(two.label).value(two.other_label).end().end();
  }
  json.end().end();
}

void run_data(const DataArguments& a) {
  SkippedRows skipped;  // bad rows are counted by the survey
  const nn::DatasetOptions options = dataset_options(a.table, skipped);
  std::optional<nn::Tokenizer> tokenizer;
  if (!a.model.empty()) tokenizer = nn::Tokenizer::load(a.model);
  std::function<int64_t(std::string_view)> tokens_of;
  if (tokenizer) tokens_of = [&](std::string_view text) { return std::ssize(tokenizer->encode(text).ids); };
  const auto surveys_of = [&](const std::vector<std::filesystem::path>& files) {
    std::vector<TableSurvey> surveys;
    surveys.reserve(files.size());
    for (const auto& file : files) surveys.push_back(survey_table(file, options, tokens_of));
    return surveys;
  };
  const std::vector<TableSurvey> train = surveys_of(a.files), dev = surveys_of(a.dev);
  const std::vector<std::string> warnings = survey_warnings(train, dev);
  if (a.json) {
    JsonWriter json(JsonWriter::Style::kSpaced);
    json.begin_object();
    for (const auto& [name, surveys] : {std::pair("files", &train), std::pair("dev", &dev)}) {
      json.key(name).begin_array();
      for (const TableSurvey& one : *surveys) write_survey(json, one, tokenizer.has_value());
      json.end();
    }
    print_line(json.member("warnings", warnings).end().take());
    return;
  }
  for (const auto* surveys : {&train, &dev}) {
    for (const TableSurvey& one : *surveys) print_line(survey_text(one, tokenizer.has_value()));
  }
  for (const std::string& warning : warnings) print_line("warning: " + warning);
}

}  // namespace

void add_data(CommandLine& line) {
  const auto a = std::make_shared<DataArguments>();
  CLI::App* command = line.app.add_subcommand("data", "Look at tables of texts before training on them");
  command->add_option("FILE", a->files, "Training data, in any format of qing train")->required()->type_name("FILE");
  command
      ->add_option("--dev", a->dev,
                   "Dev set, which must not share texts with the training data. Repeat it for several files")
      ->allow_extra_args(false)
      ->type_name("FILE");
  command->add_option("--model", a->model, "Model folder: counts the tokens of its tokenizer too")->type_name("FOLDER");
  add_table_options(*command, a->table, true);
  command->add_flag("--json", a->json, "Print one JSON object");
  command->callback([&line, a] { line.run = [a] { run_data(*a); }; });
}

}  // namespace qing::serve::cli
