// `qing translate`.
#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <qing/nn/models/task_model.h>
#include <qing/nn/models/translator.h>
#include <qing/serve/cli/column_run.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/model_options.h>
#include <qing/serve/cli/number_from.h>
#include <qing/serve/cli/shipped_model.h>
#include <qing/serve/cli/text_command.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/runs/table_writer.h>

namespace qing::serve::cli {
namespace {

constexpr int64_t kMostRows = 256;  // hypotheses that are computed together
constexpr size_t kFileRows = 64;    // of a table, that are written together

struct TranslateArguments : TextArguments {
  std::filesystem::path out = {};  ///< the table with the translations; empty: lines on stdout
  std::string from, to;            // empty: the model's only language, or the one that the other leaves
  // The model's own without.
  std::optional<int64_t> beam, max_tokens;
  std::optional<double> length_penalty;
};

nn::DecodingOptions decoding_options(const TranslateArguments& arguments, const nn::Translator& model) {
  nn::DecodingOptions options = model.options();
  options.beam_size = arguments.beam.value_or(options.beam_size);
  if (options.beam_size > 1) options.temperature = 0;  // a beam is searched and not drawn
  options.max_tokens = arguments.max_tokens.value_or(options.max_tokens);
  options.length_penalty = arguments.length_penalty.value_or(options.length_penalty);
  return options;
}

void print_translation(const std::string& text, const nn::Translation& translation, bool as_json) {
  if (!as_json) return print_line(translation.text);
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("text", text).member("translation", translation.text);
  json.member("score", translation.score).member("tokens", translation.tokens);
  json.member("complete", translation.complete).end();
  print_line(json.take());
}

// Writes the table of --file with the translations.
void translate_file(const TranslateArguments& arguments, const std::filesystem::path& folder,
                    const nn::Translator& model, const nn::TranslationDirection& direction,
                    const nn::DecodingOptions& options) {
  ColumnRun run{.file = arguments.file,
                .out = arguments.out,
                .table = arguments.table,
                .columns = {"translation", "score", "tokens", "complete"},
                .depends_on = files_of_model(folder),
                .batch_rows = kFileRows,
                .compute = {}};
  run.depends_on.push_back(fmt::format("{} {} {} {} {} {}", name_of(arguments.precision), direction.from, direction.to,
                                       options.beam_size, options.max_tokens, options.length_penalty));
  run.compute = [&](const std::vector<std::string>& texts, const Where& where) {
    std::vector<std::vector<AddedValue>> values;
    for (const nn::Translation& each : model.translate(texts, direction, options, kMostRows, where)) {
      values.push_back({{each.text, false},
                        {fmt::format("{}", each.score), true},
                        {fmt::format("{}", each.tokens), true},
                        {each.complete ? "true" : "false", true}});
    }
    return values;
  };
  add_columns(run);
}

// Prints the translation of each text, or a JSON object.
void run_translate(const TranslateArguments& arguments) {
  require_input(arguments);
  if (!arguments.out.empty()) {
    if (arguments.file.empty()) throw UsageError("--out needs --file: the table to add the translations to");
    if (!arguments.texts.empty()) throw UsageError("--out writes the table of --file; give no other texts");
    if (arguments.json) throw UsageError("--out has its own format; leave --json out");
    output_format_of(arguments.out);  // refuses before the model is loaded
  }
  const std::filesystem::path folder = model_or_shipped(arguments.model, kShippedTranslator);
  nn::require_task(folder, nn::kTranslation);
  const auto model = nn::Translator::load(folder, arguments.precision);
  const nn::TranslationDirection direction = model->direction(arguments.from, arguments.to);
  const nn::DecodingOptions options = decoding_options(arguments, *model);
  if (!arguments.out.empty()) return translate_file(arguments, folder, *model, direction, options);
  for_each_batch(arguments, [&](const std::vector<std::string>& texts, const Where& where) {
    const std::vector<nn::Translation> translations = model->translate(texts, direction, options, kMostRows, where);
    for (size_t i = 0; i < texts.size(); ++i) print_translation(texts[i], translations[i], arguments.json);
  });
}

}  // namespace

void add_translate(CommandLine& line) {
  const auto a = std::make_shared<TranslateArguments>();
  CLI::App* command = add_text_command(line, "translate", "Translate texts", "--file", *a, [a] { run_translate(*a); });
  command->get_option("--model")->description(
      "Folder of a translation model. The one that comes with qing, between English and Chinese, without it");
  command->add_option("--to", a->to, "Language of the translations, such as zh. A model of one direction needs none")
      ->type_name("LANGUAGE");
  command->add_option("--from", a->from, "Language of the texts, such as en, if --to does not tell it")
      ->type_name("LANGUAGE");
  command
      ->add_option(
          "--beam", a->beam,
          "Beam size: hypotheses that are kept of a text. 1 takes the likeliest token each time. The model's own "
          "number without it")
      ->check(number_from(1, 64));
  command
      ->add_option("--length-penalty", a->length_penalty,
                   "Exponent of a hypothesis's length, by which its score is divided. A greater one prefers longer "
                   "translations")
      ->check(number_from(-10, 10));
  command->add_option("--max-tokens", a->max_tokens, "Maximum tokens of a translation")->check(number_from(1, 65536));
  command
      ->add_option(
          "--out", a->out,
          "Output file: the table of --file with the columns translation, score, tokens and complete added. The suffix "
          "is the format: .csv, .tsv, .jsonl, .json, .xlsx, or .txt for the translations alone. A second run with the "
          "same arguments goes on where a killed one was")
      ->type_name("FILE");
  command->add_flag("--json", a->json, "Print one JSON object per text");
  add_precision(command, a->precision);
}

}  // namespace qing::serve::cli
