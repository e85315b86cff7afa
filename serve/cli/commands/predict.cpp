// `qing predict`, `qing explain` and `qing tokenize`: one result per text.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <system_error>
#include <utility>

#include <qing/nn/data/label_sets.h>
#include <qing/nn/models/classifier_config.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/nn/utf8.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/config_file.h>
#include <qing/serve/cli/model_options.h>
#include <qing/serve/cli/predict_file.h>
#include <qing/serve/cli/shipped_model.h>
#include <qing/serve/cli/text_command.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/protocols/explanation_json.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/serve/runs/multi_label_evaluation.h>
#include <qing/serve/tasks/task.h>

namespace qing::serve::cli {
namespace {

struct PredictArguments : TextArguments {
  std::filesystem::path out = {};               ///< the table with the predictions; empty: lines on stdout
  std::vector<std::string> label_columns = {};  ///< labels that get a column each in `out`
  bool logits = false;
};

// 9 significant digits: two floats print alike only if they are equal.
std::string nine_digits(float value) { return std::isfinite(value) ? fmt::format("{:.9g}", value) : "null"; }

void write_floats(JsonWriter& json, std::span<const float> values) {
  json.begin_array();
  for (const float value : values) json.raw(nine_digits(value));
  json.end();
}

std::string prediction_json(const std::string& text, const nn::Prediction& prediction, const nn::TextClassifier& model,
                            bool logits) {
  const std::vector<std::string>& labels = model.labels();
  const auto label = static_cast<size_t>(prediction.label);
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("text", text);
  if (model.problem() == nn::Problem::regression) {
    json.key("value").raw(nine_digits(prediction.scores.front()));
  } else {
    if (model.problem() == nn::Problem::multi_label) {
      json.member("labels", names_of_labels(labels, prediction.labels));
    } else {
      json.member("label", labels.at(label)).key("score").raw(nine_digits(prediction.scores.at(label)));
    }
    if (model.problem() == nn::Problem::ordinal)
      json.key("value").raw(nine_digits(static_cast<float>(prediction.value)));
    json.key("scores").begin_object();
    for (size_t i = 0; i < labels.size(); ++i) json.key(labels[i]).raw(nine_digits(prediction.scores.at(i)));
    json.end();
  }
  json.member("tokens", prediction.tokens).member("truncated", prediction.truncated);
  if (prediction.blank) json.member("blank", true);
  if (logits) {
    json.key("logits");
    write_floats(json, prediction.logits);
  }
  json.end();
  return json.take();
}

// The fields of a line for people and for cut: the label and its score, or the labels and theirs joined by '|', and the
// expected place of ordered labels, or the number alone.
std::string prediction_fields(const nn::Prediction& prediction, const nn::TextClassifier& model) {
  if (model.problem() == nn::Problem::regression) return fmt::format("{:.6g}\t", prediction.value);
  if (model.problem() == nn::Problem::multi_label) {
    std::vector<std::string> scores;
    for (const int32_t label : prediction.labels) {
      scores.push_back(fmt::format("{:.4f}", prediction.scores.at(static_cast<size_t>(label))));
    }
    return fmt::format("{}\t{}\t", nn::joined_labels(names_of_labels(model.labels(), prediction.labels)),
                       nn::joined_labels(scores));
  }
  const auto label = static_cast<size_t>(prediction.label);
  std::string fields = fmt::format("{}\t{:.4f}\t", model.labels().at(label), prediction.scores.at(label));
  if (model.problem() == nn::Problem::ordinal) fields += fmt::format("{:.4f}\t", prediction.value);
  return fields;
}

// Line breaks and tabs would tear the line apart.
std::string in_one_line(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  return text;
}

std::string logits_text(std::span<const float> logits) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  write_floats(json, logits);
  return json.take();
}

std::string explanation_line(const nn::Explanation& explanation, const std::string& text,
                             const std::vector<std::string>& labels) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("text", text);
  json.key("explanation").raw(explanation_json(explanation, text, labels)).end();
  return json.take();
}

std::string explanation_text(const nn::Explanation& explanation, const std::string& text,
                             const std::vector<std::string>& labels) {
  std::string lines =
      fmt::format("{}\t{:.4f}\t{}\n\t{:.4f}\twithout any of its words",
                  labels.at(static_cast<size_t>(explanation.label)), explanation.score, text, explanation.baseline);
  std::vector<nn::Explanation::Span> spans = explanation.spans;
  std::ranges::stable_sort(spans, std::greater<>(), [](const auto& span) { return std::abs(span.weight); });
  for (const auto& [begin, end, weight] : spans) {
    lines += fmt::format("\n\t{:+.4f}\t{}", weight, text.substr(begin, end - begin));
  }
  if (explanation.encoder_end < text.size()) {
    lines += fmt::format("\n\tthe encoder read the first {} of {} characters; {}",
                         nn::count_characters(std::string_view(text).substr(0, explanation.encoder_end)),
                         nn::count_characters(text),
                         explanation.ngram_end > 0
                             ? "the n-gram head used the whole text; the weights of the rest come from n-grams only"
                             : "the rest was not used");
  }
  return lines;
}

// A longer limit of the tokenizer, or none, becomes that of the model in the same folder.
nn::Tokenizer load_tokenizer(const std::filesystem::path& directory) {
  const std::filesystem::path config = directory / "config.json";
  std::error_code unreadable;
  if (!std::filesystem::exists(config, unreadable)) return nn::Tokenizer::load(directory);
  return nn::Tokenizer::load(directory, static_cast<int32_t>(nn::EncoderConfig::load(config).max_tokens()));
}

// The same for a model of another task.
void predict_task(const PredictArguments& arguments, const std::filesystem::path& folder) {
  if (!arguments.out.empty() || !arguments.label_columns.empty() || arguments.logits) {
    throw UsageError("--out, --label-columns and --logits are for text classifiers; this model is of another task");
  }
  const std::shared_ptr<const nn::TaskModel> model = load_task_model(folder, arguments.precision);
  const Task& task = *find_task(model->task());
  for_each_batch(arguments, [&](const std::vector<std::string>& texts, const Where& where) {
    std::vector<std::string> lines;
    compute_batch(texts, where,
                  [&](std::span<const std::string> some) { lines = task.predict(*model, some, arguments.json); });
    for (const std::string& line : lines) print_line(line);
  });
}

// Prints one line per text: what is predicted and the text, separated by tabs, or a JSON object.
void run_predict(const PredictArguments& arguments) {
  require_input(arguments);
  if (const std::filesystem::path folder = model_or_shipped(arguments.model);
      nn::task_of(folder) != nn::kClassification) {
    return predict_task(arguments, folder);
  }
  if (!arguments.out.empty()) {
    if (arguments.file.empty()) throw UsageError("--out needs --file: the table to add the predictions to");
    if (!arguments.texts.empty()) throw UsageError("--out writes the table of --file; give no other texts");
    if (arguments.json || arguments.logits) throw UsageError("--out has its own format; leave --json and --logits out");
    predict_file({.model = model_or_shipped(arguments.model),
                  .file = arguments.file,
                  .out = arguments.out,
                  .precision = arguments.precision,
                  .table = arguments.table,
                  .label_columns = arguments.label_columns});
    return;
  }
  if (!arguments.label_columns.empty())
    throw UsageError("--label-columns needs --out: the table to add the columns to");
  const auto model = nn::TextClassifier::load(model_or_shipped(arguments.model), arguments.precision);
  for_each_batch(arguments, [&](const std::vector<std::string>& texts, const Where& where) {
    const std::vector<nn::Prediction> predictions = predict_all(*model, texts, where);
    for (size_t i = 0; i < texts.size(); ++i) {
      const nn::Prediction& prediction = predictions[i];
      if (arguments.json) {
        print_line(prediction_json(texts[i], prediction, *model, arguments.logits));
        continue;
      }
      std::string line = prediction_fields(prediction, *model);
      if (arguments.logits) line += logits_text(prediction.logits) + "\t";
      print_line(line + in_one_line(texts[i]));
      if (prediction.blank) print_line("\tthe text gives no token; the scores are those of an empty text");
    }
  });
}

// Prints for each text its label and the weights of its parts, the largest first, or a JSON object.
void run_explain(const TextArguments& arguments) {
  require_input(arguments);
  const auto model = nn::TextClassifier::load(model_or_shipped(arguments.model));
  for_each_batch(arguments, [&](const std::vector<std::string>& texts, const Where& where) {
    for (size_t i = 0; i < texts.size(); ++i) {
      try {
        const nn::Explanation explanation = model->explain(std::span(texts).subspan(i, 1)).front();
        print_line(arguments.json ? explanation_line(explanation, texts[i], model->labels())
                                  : explanation_text(explanation, texts[i], model->labels()));
      } catch (const DataError& error) { throw DataError(fmt::format("{}: {}", where(i), error.what())); }
    }
  });
}

// Prints one line per text: the JSON array of its token ids.
void run_tokenize(const TextArguments& arguments) {
  require_input(arguments);
  const nn::Tokenizer tokenizer = load_tokenizer(model_or_shipped(arguments.model));
  for_each_batch(arguments, [&](const std::vector<std::string>& texts, const Where& where) {
    for (size_t i = 0; i < texts.size(); ++i) {
      try {
        print_line(fmt::format("[{}]", fmt::join(tokenizer.encode(texts[i]).ids, ", ")));
      } catch (const DataError& error) { throw DataError(fmt::format("{}: {}", where(i), error.what())); }
    }
  });
}

}  // namespace

void add_predict(CommandLine& line) {
  const auto predict = std::make_shared<PredictArguments>();
  CLI::App* command =
      add_text_command(line, "predict", "Predict the labels of texts, or what a model of another task finds in them",
                       "--file", *predict, [predict] { run_predict(*predict); });
  command
      ->add_option(
          "--out", predict->out,
          "Output file: the table of --file with the columns label, score and score_LABEL of each label added. "
          "The suffix is the format: .csv, .tsv, .jsonl, .json, .xlsx, or .txt for the labels alone. A second "
          "run with the same arguments goes on where a killed one was")
      ->type_name("FILE");
  add_list(command, "--label-columns", predict->label_columns,
           "Labels of a multi-label model that get a column of 1 or 0 each in --out, in place of the column label. "
           "qing train reads such a table. A comma of a label stands behind a backslash")
      ->type_name("NAMES");
  command->add_flag("--json", predict->json, "Print one JSON object per text");
  command->add_flag("--logits", predict->logits, "Print the logits as well");
  add_precision(command, predict->precision);

  const auto explain = std::make_shared<TextArguments>();
  command = add_text_command(line, "explain", "Explain predictions: the weight of each part of a text", "--file",
                             *explain, [explain] { run_explain(*explain); });
  command->add_flag("--json", explain->json, "Print one JSON object per text");

  const auto tokenize = std::make_shared<TextArguments>();
  tokenize->lines = true;
  add_text_command(line, "tokenize", "Print the token ids of texts, one JSON array per text", "--ids,--file", *tokenize,
                   [tokenize] { run_tokenize(*tokenize); });
}

}  // namespace qing::serve::cli
