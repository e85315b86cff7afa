#include <qing/serve/cli/eval_translator.h>

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include <qing/nn/data/parallel_texts.h>
#include <qing/nn/models/translator.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/serve/runs/table_writer.h>
#include <qing/serve/runs/translation_evaluation.h>

namespace qing::serve::cli {
namespace {

struct PairsToTranslate {
  std::vector<std::vector<nn::TextPair>> files;
  std::string from, to;  // that the columns of all files name
};

PairsToTranslate read_files(const EvalTranslator& a, const std::vector<std::string>& names) {
  SkippedRows skipped;
  const nn::DatasetOptions table = dataset_options(a.table, skipped);
  const nn::ParallelOptions options{
      .source_column = a.source_column,
      .target_column = a.target_column,
      .source_language = a.from,
      .target_language = a.to,
      .table = table.table,
      .on_bad_row = table.on_bad_row,
      .on_guess = [](const std::filesystem::path& file, const std::string& guesses) { say_guesses(file, guesses); }};
  PairsToTranslate read;
  for (size_t i = 0; i < a.data.size(); ++i) {
    nn::ParallelTexts texts = nn::read_parallel(a.data[i], options);
    if (texts.blank > 0) {
      fmt::print(stderr, "qing: {}: {} left out\n", names[i],
                 how_many(texts.blank, "pair with a blank text is", "pairs with a blank text are"));
    }
    const std::string from = nn::language_of_column(texts.source_column);
    const std::string to = nn::language_of_column(texts.target_column);
    if (i > 0 && (from != read.from || to != read.to)) {
      throw UsageError(
          fmt::format("--data: {} is from '{}' to '{}', and {} from '{}' to '{}'; evaluate one direction "
                      "at a time",
                      names[0], read.from, read.to, names[i], from, to));
    }
    read.from = from;
    read.to = to;
    read.files.push_back(std::move(texts.pairs));
  }
  skipped.report();
  return read;
}

}  // namespace

void eval_translator(const EvalTranslator& a) {
  if (!a.out.empty()) output_format_of(a.out);  // refuses before the work
  check_distinct(a.data);
  const auto model = nn::Translator::load(a.model, a.precision);
  const std::vector<std::string> names = names_of(a.data, a.data);
  const PairsToTranslate read = read_files(a, names);
  // A model of one direction that its folder does not name has no use for the languages of the columns.
  const bool knows = !model->directions().empty() || model->languages().use != nn::LanguageTokens::Use::kNone;
  const nn::TranslationDirection direction =
      model->direction(a.from.empty() && knows ? read.from : a.from, a.to.empty() && knows ? read.to : a.to);
  nn::DecodingOptions options = model->options();
  options.best = 1;
  options.beam_size = a.beam.value_or(options.beam_size);
  const std::string language = !direction.to.empty() ? direction.to : read.to;
  const TranslationEvaluation evaluation =
      evaluate_translations(*model, read.files, names, direction, language, options);
  const std::vector<size_t> worst = worst_translations(evaluation, static_cast<size_t>(a.worst));
  if (!a.out.empty()) write_results(a.out, evaluation, names);
  print_line(to_text(evaluation, names));
  if (!worst.empty()) print_line(worst_text(evaluation, worst, names));
  if (a.json) print_line(to_json(evaluation, worst, names));
}

}  // namespace qing::serve::cli
