// `qing eval`.
#include <memory>
#include <utility>
#include <vector>

#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/label_options.h>
#include <qing/serve/cli/model_options.h>
#include <qing/serve/cli/shipped_model.h>
#include <qing/serve/common/output.h>
#include <qing/serve/reports/charts.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {
namespace {

struct EvalArguments {
  std::filesystem::path model;  ///< empty: the shipped one
  std::vector<std::filesystem::path> data;
  std::vector<std::string> map;
  std::filesystem::path confusion;  ///< SVG to write the confusion matrix to; empty: none
  DType precision = DType::f32;     ///< of products: or bf16, or i8
  bool reference = false;           ///< keep what was predicted in the model, as what serving measures drift from
  bool json = false;
};

void write_confusion_chart(const std::filesystem::path& file, const Evaluation& evaluation) {
  std::vector<std::pair<std::string, nn::ConfusionMatrix>> matrices = {{"all texts", evaluation.all}};
  if (evaluation.per_source.size() > 1) {
    matrices.insert(matrices.end(), evaluation.per_source.begin(), evaluation.per_source.end());
  }
  write_file_atomically(file, confusion_chart(evaluation.labels, matrices));
}

void run_eval(const EvalArguments& arguments) {
  const std::filesystem::path folder = model_or_shipped(arguments.model);
  const auto model = nn::TextClassifier::load(folder, arguments.precision);
  nn::DatasetOptions options;
  options.labels = model->labels();
  options.map = label_map(arguments.map);
  const std::vector<nn::Example> examples = read_examples(arguments.data, options);
  const Evaluation evaluation = evaluate(*model, examples);
  if (!arguments.confusion.empty()) write_confusion_chart(arguments.confusion, evaluation);
  if (arguments.reference) keep_reference(folder, evaluation.profile);
  print_line(to_text(evaluation));
  if (arguments.json) print_line(to_json(evaluation));
}

}  // namespace

void add_eval(CommandLine& line) {
  const auto a = std::make_shared<EvalArguments>();
  CLI::App* command = line.app.add_subcommand("eval", "Evaluate a model on labelled texts");
  add_model(command, a->model);
  command->add_option("--data", a->data, "Labelled texts (.tsv, .csv, .jsonl, .json). Repeat it for several files")
      ->allow_extra_args(false)
      ->required()
      ->type_name("FILE");
  add_map(command, a->map);
  command->add_option("--confusion", a->confusion, "Confusion matrices: output file (SVG)")->type_name("FILE");
  command->add_flag(
      "--reference", a->reference,
      "Reference for drift detection: store the frequencies of predicted labels and unknown tokens in the model");
  add_precision(command, a->precision);
  command->add_flag("--json", a->json, "Print the result as a JSON object on stdout");
  command->callback([&line, a] { line.run = [a] { run_eval(*a); }; });
}

}  // namespace qing::serve::cli
