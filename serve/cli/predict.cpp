// `qing predict`, `qing explain` and `qing tokenize`: one answer per text.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <system_error>

#include <qing/nn/models/classifier_config.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/nn/utf8.h>
#include <qing/serve/cli/commands.h>
#include <qing/serve/cli/shipped_model.h>
#include <qing/serve/common/output.h>
#include <qing/serve/protocols/explanation_json.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {
namespace {

constexpr size_t kStdinBatch = 64;

using Where = std::function<std::string(size_t)>;
using Consume = std::function<void(const std::vector<std::string>&, const Where&)>;

void strip_carriage_return(std::string& line) {
  if (!line.empty() && line.back() == '\r') line.pop_back();
}

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  const std::string bytes = read_file(file);
  const std::string_view content = nn::without_byte_order_mark(bytes);
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    strip_carriage_return(lines.emplace_back(content.substr(begin, end - begin)));
    begin = end + 1;
  }
  return lines;
}

// Answers the available lines instead of waiting for a full batch, so that a program can write one line and wait for
// its answer.
void consume_stdin(const Consume& consume) {
  std::vector<std::string> batch;
  size_t first = 0;
  const Where where = [&](size_t i) { return fmt::format("stdin:{}", first + i + 1); };
  const auto flush = [&] {
    if (batch.empty()) return;
    consume(batch, where);
    flush_output();
    first += batch.size();
    batch.clear();
  };
  for (std::string line; std::getline(std::cin, line);) {
    if (first == 0 && batch.empty()) line.erase(0, line.size() - nn::without_byte_order_mark(line).size());
    strip_carriage_return(line);
    batch.push_back(std::move(line));
    if (batch.size() == kStdinBatch || std::cin.rdbuf()->in_avail() <= 0) flush();
  }
  flush();
}

void for_each_batch(const TextArguments& arguments, const Consume& consume) {
  if (!arguments.texts.empty()) {
    consume(arguments.texts, [](size_t i) { return fmt::format("text {}", i + 1); });
  }
  if (!arguments.file.empty()) {
    consume(lines_of(arguments.file), [&](size_t i) { return fmt::format("{}:{}", arguments.file.string(), i + 1); });
  }
  if (arguments.texts.empty() && arguments.file.empty()) consume_stdin(consume);
}

void require_input(const TextArguments& arguments) {
  if (arguments.texts.empty() && arguments.file.empty() && isatty(STDIN_FILENO) == 1) {
    throw UsageError("no texts: give them as arguments, in a file, or on stdin");
  }
}

std::string json_floats(std::span<const float> values) {
  std::string text;
  for (const float value : values) {
    if (!text.empty()) text += ", ";
    text += json_float(value);
  }
  return "[" + text + "]";
}

std::string prediction_json(const std::string& text, const nn::Prediction& prediction,
                            const std::vector<std::string>& labels, bool logits) {
  JsonObject scores, object;
  for (size_t i = 0; i < labels.size(); ++i) scores.raw(labels[i], json_float(prediction.scores.at(i)));
  const auto label = static_cast<size_t>(prediction.label);
  object.text("text", text).text("label", labels.at(label));
  object.raw("score", json_float(prediction.scores.at(label))).raw("scores", scores.str());
  object.integer("tokens", prediction.tokens).boolean("truncated", prediction.truncated);
  if (prediction.blank) object.boolean("blank", true);
  if (logits) object.raw("logits", json_floats(prediction.logits));
  return object.str();
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

// A tokenizer without a length limit takes the limit of the model in the same folder, if there is one.
nn::Tokenizer load_tokenizer(const std::filesystem::path& directory) {
  const std::filesystem::path config = directory / "config.json";
  std::error_code unreadable;
  if (!std::filesystem::exists(config, unreadable)) return nn::Tokenizer::load(directory);
  const auto most = static_cast<int32_t>(nn::ClassifierConfig::load(config).encoder.max_tokens());
  return nn::Tokenizer::load(directory, most, most);
}

}  // namespace

void run_predict(const TextArguments& arguments) {
  require_input(arguments);
  const auto model = nn::TextClassifier::load(model_or_shipped(arguments.model), arguments.precision);
  const std::vector<std::string>& labels = model->labels();
  for_each_batch(arguments, [&](const std::vector<std::string>& texts, const Where& where) {
    const std::vector<nn::Prediction> predictions = predict_all(*model, texts, where);
    for (size_t i = 0; i < texts.size(); ++i) {
      const nn::Prediction& prediction = predictions[i];
      if (arguments.json) {
        print_line(prediction_json(texts[i], prediction, labels, arguments.logits));
        continue;
      }
      const auto label = static_cast<size_t>(prediction.label);
      std::string line = fmt::format("{}\t{:.4f}\t", labels.at(label), prediction.scores.at(label));
      if (arguments.logits) line += json_floats(prediction.logits) + "\t";
      print_line(line + texts[i]);
      if (prediction.blank) print_line("\tthe text gives no token; the scores are those of an empty text");
    }
  });
}

void run_explain(const TextArguments& arguments) {
  require_input(arguments);
  const auto model = nn::TextClassifier::load(model_or_shipped(arguments.model));
  for_each_batch(arguments, [&](const std::vector<std::string>& texts, const Where& where) {
    for (size_t i = 0; i < texts.size(); ++i) {
      try {
        const nn::Explanation explanation = model->explain(std::span(texts).subspan(i, 1)).front();
        print_line(arguments.json ? JsonObject()
                                        .text("text", texts[i])
                                        .raw("explanation", explanation_json(explanation, texts[i], model->labels()))
                                        .str()
                                  : explanation_text(explanation, texts[i], model->labels()));
      } catch (const DataError& error) { throw DataError(fmt::format("{}: {}", where(i), error.what())); }
    }
  });
}

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

}  // namespace qing::serve::cli
