// `qing eval`.
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <qing/nn/models/translator.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/eval_translator.h>
#include <qing/serve/cli/label_options.h>
#include <qing/serve/cli/model_options.h>
#include <qing/serve/cli/number_from.h>
#include <qing/serve/cli/shipped_model.h>
#include <qing/serve/cli/table_options.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/reports/charts.h>
#include <qing/serve/reports/precision_recall_chart.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/serve/runs/multi_label_evaluation.h>
#include <qing/serve/runs/number_evaluation.h>
#include <qing/serve/runs/row_results.h>
#include <qing/serve/runs/table_writer.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {
namespace {

struct EvalArguments {
  std::filesystem::path model;  ///< empty: the shipped one
  std::vector<std::filesystem::path> data;
  std::vector<std::string> map;
  std::filesystem::path confusion;  ///< SVG to write the confusion matrix to; empty: none
  std::filesystem::path curves;     ///< SVG to write the precision and recall of each label to; empty: none
  std::filesystem::path out;        ///< table of the rows with their predictions; empty: none
  int64_t worst = 10;               ///< number of errors to list
  DType precision = DType::f32;     ///< of products: or bf16, or i8
  TableArguments table;
  std::string source_column, target_column, from, to;  ///< of a translator
  std::optional<int64_t> beam;                         ///< of a translator
  bool reference = false;  ///< keep what was predicted in the model, as what serving measures drift from
  bool json = false;
};

void write_confusion_chart(const std::filesystem::path& file, const Evaluation& evaluation) {
  std::vector<std::pair<std::string, nn::ConfusionMatrix>> matrices = {{"all texts", evaluation.all}};
  if (evaluation.per_source.size() > 1) {
    matrices.insert(matrices.end(), evaluation.per_source.begin(), evaluation.per_source.end());
  }
  write_file_atomically(file, confusion_chart(evaluation.labels, matrices));
}

// The reports of an evaluation of several labels or of numbers.
template <class Found>
void report_evaluation(const EvalArguments& arguments, const Found& evaluation,
                       const std::vector<nn::Example>& examples) {
  const std::vector<std::string> names = names_of(arguments.data, arguments.data);
  const std::vector<size_t> errors = worst_examples(evaluation, static_cast<size_t>(arguments.worst));
  if (!arguments.out.empty()) write_results(arguments.out, evaluation, examples, names);
  print_line(to_text(evaluation));
  if (!errors.empty()) print_line(worst_text(evaluation, examples, errors, names));
  if (arguments.json) print_line(to_json(evaluation, worst_json(evaluation, examples, errors, names)));
}

void eval_labels(const EvalArguments& arguments, const nn::TextClassifier& model, const std::filesystem::path& folder,
                 const std::vector<nn::Example>& examples) {
  const MultiLabelEvaluation evaluation = evaluate_multi_label(model, examples);
  if (arguments.reference) keep_reference(folder, evaluation.profile);
  if (!arguments.curves.empty()) {
    write_file_atomically(arguments.curves, precision_recall_chart({{"all texts", evaluation}}));
  }
  report_evaluation(arguments, evaluation, examples);
}

void check_charts(const EvalArguments& arguments, nn::Problem problem) {
  const bool classes = problem == nn::Problem::single_label || problem == nn::Problem::ordinal;
  if (!arguments.confusion.empty() && !classes) {
    throw UsageError(fmt::format("--confusion: a {} model has no confusion matrix; {}", name_of(problem),
                                 problem == nn::Problem::multi_label ? "--curves shows each label" : "leave it out"));
  }
  if (!arguments.curves.empty() && problem != nn::Problem::multi_label) {
    throw UsageError(fmt::format("--curves: a {} model has no curves of labels; leave it out", name_of(problem)));
  }
  if (arguments.reference && problem == nn::Problem::regression) {
    throw UsageError("--reference: a regression predicts no labels whose frequencies could drift; leave it out");
  }
}

void eval_translations(const EvalArguments& arguments, const std::filesystem::path& folder) {
  if (!arguments.confusion.empty() || !arguments.curves.empty() || arguments.reference || !arguments.map.empty()) {
    throw UsageError("--confusion, --curves, --reference and --map are for classifiers; this model is a translator");
  }
  eval_translator({.model = folder,
                   .data = arguments.data,
                   .source_column = arguments.source_column,
                   .target_column = arguments.target_column,
                   .from = arguments.from,
                   .to = arguments.to,
                   .beam = arguments.beam,
                   .out = arguments.out,
                   .worst = arguments.worst,
                   .precision = arguments.precision,
                   .table = arguments.table,
                   .json = arguments.json});
}

void run_eval(const EvalArguments& arguments) {
  const std::filesystem::path folder = model_or_shipped(arguments.model);
  if (nn::task_of(folder) == nn::kTranslation) return eval_translations(arguments, folder);
  if (!arguments.source_column.empty() || !arguments.target_column.empty() || !arguments.from.empty() ||
      !arguments.to.empty() || arguments.beam) {
    throw UsageError(
        "--source-column, --target-column, --from, --to and --beam are for translators; this model is none");
  }
  const auto model = nn::TextClassifier::load(folder, arguments.precision);
  check_charts(arguments, model->problem());
  if (!arguments.out.empty()) output_format_of(arguments.out);  // refuses before the work
  SkippedRows skipped;
  nn::DatasetOptions options = dataset_options(arguments.table, skipped);
  options.map = label_map(arguments.map);
  options.labels = model->labels();
  options.problem = model->problem();
  check_label_columns(arguments.table, model->problem());
  const std::vector<nn::Example> examples = read_examples(arguments.data, options);
  skipped.report();
  if (model->problem() == nn::Problem::multi_label) return eval_labels(arguments, *model, folder, examples);
  if (model->problem() == nn::Problem::regression) {
    return report_evaluation(arguments, evaluate_numbers(*model, examples), examples);
  }
  const Evaluation evaluation = evaluate(*model, examples);
  const std::vector<std::string> names = names_of(arguments.data, arguments.data);
  const std::vector<RowResult> results = row_results(evaluation);
  const std::vector<size_t> errors = worst_errors(results, static_cast<size_t>(arguments.worst));
  if (!arguments.out.empty()) write_results(arguments.out, evaluation, examples, results, names);
  if (!arguments.confusion.empty()) write_confusion_chart(arguments.confusion, evaluation);
  if (arguments.reference) keep_reference(folder, evaluation.profile);
  print_line(to_text(evaluation));
  if (!errors.empty()) print_line(worst_text(evaluation, examples, results, errors, names));
  if (arguments.json) print_line(to_json(evaluation, worst_json(evaluation, examples, results, errors, names)));
}

}  // namespace

void add_eval(CommandLine& line) {
  const auto a = std::make_shared<EvalArguments>();
  CLI::App* command = line.app.add_subcommand("eval", "Evaluate a model on labelled texts");
  add_model(command, a->model);
  command
      ->add_option("--data", a->data,
                   "Labelled texts, in any format of qing train, or pairs of texts for a translator. Repeat it for "
                   "several files")
      ->allow_extra_args(false)
      ->required()
      ->type_name("FILE");
  add_map(command, a->map);
  command->add_option("--confusion", a->confusion, "Confusion matrices: output file (SVG)")->type_name("FILE");
  command
      ->add_option("--curves", a->curves,
                   "Precision and recall of each label of a multi-label model: output file (SVG)")
      ->type_name("FILE");
  command
      ->add_option(
          "--out", a->out,
          "Output file of the rows with their predictions (.csv, .tsv, .jsonl, .json, .xlsx): file, line, "
          "source, text, label, predicted_label, correct, score, loss and score_LABEL of each label; of a translator "
          "file, line, source, target, translation, score, bleu and chrf")
      ->type_name("FILE");
  command
      ->add_option(
          "--worst", a->worst,
          "Number of errors to list, those of the highest score first, or of translations, those of the lowest chrF")
      ->check(number_from(0, 1e6))
      ->capture_default_str();
  add_table_options(*command, a->table, true);
  command->add_flag(
      "--reference", a->reference,
      "Reference for drift detection: store the frequencies of predicted labels and unknown tokens in the model");
  const std::string group = "Translators";
  command->add_option("--source-column", a->source_column, "Column of the texts to translate. Guessed without it")
      ->type_name("NAME")
      ->group(group);
  command->add_option("--target-column", a->target_column, "Column of their translations. Guessed without it")
      ->type_name("NAME")
      ->group(group);
  command->add_option("--from", a->from, "Language of the texts. The one that the column names without it")
      ->type_name("LANGUAGE")
      ->group(group);
  command->add_option("--to", a->to, "Language of the translations. The one that the column names without it")
      ->type_name("LANGUAGE")
      ->group(group);
  command->add_option("--beam", a->beam, "Beam size. The model's own number without it")
      ->check(number_from(1, 64))
      ->group(group);
  add_precision(command, a->precision);
  command->add_flag("--json", a->json, "Print the result as a JSON object on stdout");
  command->callback([&line, a] { line.run = [a] { run_eval(*a); }; });
}

}  // namespace qing::serve::cli
