// `qing compare`.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/label_options.h>
#include <qing/serve/cli/model_options.h>
#include <qing/serve/cli/shipped_model.h>
#include <qing/serve/cli/table_options.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/maintenance/version_comparison.h>
#include <qing/serve/reports/comparison_chart.h>
#include <qing/serve/reports/multi_label_comparison.h>
#include <qing/serve/reports/number_comparison.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {
namespace {

struct CompareArguments {
  std::filesystem::path first, second;
  std::vector<std::filesystem::path> data;
  std::vector<std::string> map;
  TableArguments table;
  std::string source_column = "source";
  std::filesystem::path chart;  ///< SVG; empty: none
  DType precision = DType::f32;
  bool json = false;
};

std::shared_ptr<const nn::TextClassifier> load_classifier(const std::filesystem::path& folder, DType precision) {
  auto model = nn::TextClassifier::load(named_model(folder), precision);
  if (!model->embeds()) return model;
  throw UsageError(fmt::format("{} has no labels: it is a model of sentence embeddings", folder.string()));
}

// The other model's index of each label. UsageError when the labels differ; their order may.
std::vector<int32_t> indices_of(const nn::TextClassifier& first, const nn::TextClassifier& second) {
  const auto& labels = first.labels();
  const auto list = [](const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, ", ")); };
  std::vector<int32_t> indices;
  for (const std::string& label : second.labels()) {
    const auto found = std::ranges::find(labels, label);
    if (found == labels.end() || labels.size() != second.labels().size()) {
      throw UsageError(
          fmt::format("the models have other labels: {}, and {}; only models of the same labels are compared",
                      list(labels), list(second.labels())));
    }
    indices.push_back(static_cast<int32_t>(found - labels.begin()));
  }
  return indices;
}

std::vector<JudgedText> judge(const std::vector<nn::Example>& examples, const nn::TextClassifier& first,
                              const nn::TextClassifier& second) {
  const std::vector<int32_t> index = indices_of(first, second);
  std::vector<JudgedText> judged = judge_texts(examples, first, second);
  for (JudgedText& text : judged) text.after = index[static_cast<size_t>(text.after)];
  return judged;
}

std::string metric_line(const std::string& name, const ComparedMetric& metric) {
  return fmt::format("{:<28} {:>8.4f} {:>8.4f} {:>+8.4f}  [{:+.4f}, {:+.4f}]", name, metric.before, metric.after,
                     metric.after - metric.before, metric.difference.low, metric.difference.high);
}

std::string group_line(const ComparedTexts& group) {
  return fmt::format("{}  {:>5} {:>5}  {:<10}  {:>6}\n", metric_line(group.name, group.accuracy),
                     group.discordant.only_first, group.discordant.only_second, p_value_text(group.p_value),
                     group.texts);
}

std::string group_table(const char* title, const std::vector<ComparedTexts>& groups) {
  std::string text = fmt::format("\n{:<28} {:>8} {:>8} {:>8}  {:<18}  {:>5} {:>5}  {:<10}  {:>6}\n", title, "A", "B",
                                 "B - A", "95% interval", "only A", "only B", "McNemar", "texts");
  for (const ComparedTexts& group : groups) text += group_line(group);
  return text;
}

std::string verdict(const VersionComparison& comparison) {
  const auto& [only_first, only_second] = comparison.all.discordant;
  const double p = comparison.all.p_value;
  if (p >= 0.05) return fmt::format("No difference beyond chance in accuracy ({}).", p_value_text(p));
  return fmt::format("{} is better in accuracy ({}).", only_first > only_second ? "A" : "B", p_value_text(p));
}

std::string comparison_text(const CompareArguments& arguments, const VersionComparison& comparison) {
  const ComparedTexts& all = comparison.all;
  std::string text = fmt::format("A  {}\nB  {}\n\n{}; A alone is right on {}, B alone on {}.\n",  //
                                 arguments.first.string(), arguments.second.string(), how_many(all.texts, "text"),
                                 all.discordant.only_first, all.discordant.only_second);
  text += fmt::format("McNemar's test: exact {}, by chi-square with continuity correction {}. {}\n\n",
                      p_value_text(all.p_value), p_value_text(nn::corrected_mcnemar_p_value(all.discordant)),
                      verdict(comparison));
  text += fmt::format("{:<28} {:>8} {:>8} {:>8}  95% interval\n", "", "A", "B", "B - A");
  text += metric_line("accuracy", all.accuracy) + "\n" + metric_line("macro recall", comparison.macro_recall) + "\n" +
          metric_line("macro F1", comparison.macro_f1) + "\n";
  if (comparison.ordinal) text += to_text(*comparison.ordinal);
  text += group_table("accuracy by source", comparison.per_source);
  return text + group_table("recall by label", comparison.per_label);
}

std::string json_of(const CompareArguments& arguments, const VersionComparison& comparison,
                    const std::vector<std::string>& labels) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("a", arguments.first.string()).member("b", arguments.second.string());
  json.member("corrected_p_value", nn::corrected_mcnemar_p_value(comparison.all.discordant));
  json.key("comparison").raw(to_json(comparison, labels)).end();
  return json.take();
}

DifferenceRow row_of(const std::string& name, const ComparedMetric& metric, const std::string& note) {
  return {name, metric.after - metric.before, metric.difference, note};
}

DifferenceGroup chart_group(const char* title, const std::vector<ComparedTexts>& groups) {
  DifferenceGroup group{title, {}};
  for (const ComparedTexts& one : groups) {
    group.rows.push_back(
        row_of(one.name, one.accuracy, fmt::format("{}, {}", how_many(one.texts, "text"), p_value_text(one.p_value))));
  }
  return group;
}

std::string chart_of(const CompareArguments& arguments, const VersionComparison& comparison) {
  DifferenceGroup all{
      "All texts",
      {row_of("accuracy", comparison.all.accuracy, p_value_text(comparison.all.p_value)),
       row_of("macro recall", comparison.macro_recall, ""), row_of("macro F1", comparison.macro_f1, "")}};
  // The errors are in places and not in shares.
  if (comparison.ordinal) all.rows.push_back(group_of("", comparison.ordinal->measures).rows.front());
  return difference_chart(fmt::format("{} (B) minus {} (A)", arguments.second.string(), arguments.first.string()),
                          {all, chart_group("Accuracy by source", comparison.per_source),
                           chart_group("Recall by label", comparison.per_label)});
}

void check_problems(const CompareArguments& arguments, const nn::TextClassifier& first,
                    const nn::TextClassifier& second) {
  if (!nn::same_scores(first.problem(), second.problem())) {
    throw UsageError(fmt::format("{} is a model of the kind {}, and {} of the kind {}; only one kind is compared",
                                 arguments.first.string(), name_of(first.problem()), arguments.second.string(),
                                 name_of(second.problem())));
  }
  // The places of ordered labels are those of their order.
  const bool ordinal = first.problem() == nn::Problem::ordinal && second.problem() == nn::Problem::ordinal;
  if (!ordinal || first.labels() == second.labels()) return;
  throw UsageError(
      fmt::format("the models order their labels otherwise: {}, and {}; only models of the same order are "
                  "compared",
                  fmt::join(first.labels(), ", "), fmt::join(second.labels(), ", ")));
}

void compare_numbers(const CompareArguments& arguments, const nn::TextClassifier& first,
                     const nn::TextClassifier& second, const std::vector<nn::Example>& examples) {
  const NumberComparison comparison = compare(evaluate_numbers(first, examples), evaluate_numbers(second, examples));
  const std::string one = arguments.first.string(), other = arguments.second.string();
  if (!arguments.chart.empty()) write_file_atomically(arguments.chart, chart_of(comparison, one, other));
  print_line(to_text(comparison, one, other));
  if (arguments.json) print_line(to_json(comparison, one, other));
}

void compare_label_sets(const CompareArguments& arguments, const nn::TextClassifier& first,
                        const nn::TextClassifier& second, const std::vector<nn::Example>& examples) {
  const MultiLabelEvaluation a = evaluate_multi_label(first, examples);
  MultiLabelEvaluation b = evaluate_multi_label(second, examples);
  const std::vector<int32_t> index = indices_of(first, second);
  for (std::vector<int32_t>& labels : b.predicted) {
    for (int32_t& label : labels) label = index[static_cast<size_t>(label)];
    std::ranges::sort(labels);
  }
  b.labels = a.labels;
  const MultiLabelComparison comparison = compare(a, b);
  const std::string one = arguments.first.string(), other = arguments.second.string();
  if (!arguments.chart.empty()) write_file_atomically(arguments.chart, chart_of(comparison, one, other));
  print_line(to_text(comparison, one, other));
  if (arguments.json) print_line(to_json(comparison, one, other));
}

void run_compare(const CompareArguments& arguments) {
  const auto first = load_classifier(arguments.first, arguments.precision);
  const auto second = load_classifier(arguments.second, arguments.precision);
  check_problems(arguments, *first, *second);
  indices_of(*first, *second);  // before the texts are read
  SkippedRows skipped;
  nn::DatasetOptions reading = dataset_options(arguments.table, skipped);
  reading.source_column = arguments.source_column;
  reading.map = label_map(arguments.map);
  reading.labels = first->labels();
  reading.problem = first->problem();
  check_label_columns(arguments.table, first->problem());
  const std::vector<nn::Example> examples = read_examples(arguments.data, reading);
  skipped.report();
  if (first->problem() == nn::Problem::multi_label) return compare_label_sets(arguments, *first, *second, examples);
  if (first->problem() == nn::Problem::regression) return compare_numbers(arguments, *first, *second, examples);
  const std::vector<JudgedText> judged = judge(examples, *first, *second);
  const bool ordered = first->problem() == nn::Problem::ordinal && second->problem() == nn::Problem::ordinal;
  const VersionComparison comparison =
      compare_versions(judged, first->labels(), ordered ? nn::Problem::ordinal : nn::Problem::single_label);
  if (!arguments.chart.empty()) write_file_atomically(arguments.chart, chart_of(arguments, comparison));
  print_line(comparison_text(arguments, comparison));
  if (arguments.json) print_line(json_of(arguments, comparison, first->labels()));
}

}  // namespace

void add_compare(CommandLine& line) {
  const auto a = std::make_shared<CompareArguments>();
  CLI::App* command =
      line.app.add_subcommand("compare", "Compare two models on labelled texts: which is better, and by how much");
  command->add_option("A", a->first, "Model folder, or 'shipped' for the model that comes with qing")
      ->required()
      ->type_name("FOLDER");
  command->add_option("B", a->second, "Model folder to compare with A")->required()->type_name("FOLDER");
  command->add_option("--data", a->data, "Labelled texts (.tsv, .csv, .jsonl, .json). Repeat it for several files")
      ->allow_extra_args(false)
      ->required()
      ->type_name("FILE");
  add_map(command, a->map);
  add_table_options(*command, a->table, true);
  command->add_option("--source-column", a->source_column, "Column by whose values the texts are compared in groups")
      ->capture_default_str()
      ->type_name("NAME");
  command->add_option("--chart", a->chart, "Chart of the differences: output file (SVG)")->type_name("FILE");
  add_precision(command, a->precision);
  command->add_flag("--json", a->json, "Print the result as a JSON object on stdout");
  command->callback([&line, a] { line.run = [a] { run_compare(*a); }; });
}

}  // namespace qing::serve::cli
