#include <qing/serve/reports/model_card.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <qing/nn/models/classifier_config.h>
#include <qing/nn/scale_metrics.h>
#include <qing/serve/reports/card_sections.h>
#include <qing/serve/runs/dev_scores.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;

std::string with_interval(double value, nn::Interval interval) {
  return fmt::format("{:.2f} ({:.2f} to {:.2f})", 100 * value, 100 * interval.low, 100 * interval.high);
}

// A sentence about the programs that load the model.
const char* loaders(const nn::ClassifierConfig& config) {
  if (!config.ngram_head) {
    return "`qing` and `transformers` (`AutoModelForSequenceClassification`, `AutoTokenizer`) load it, with equal "
           "logits.";
  }
  return "`qing` loads it. **`transformers` does not compute this model**: it has no n-gram head "
         "(`ngrams.safetensors`), "
         "and the encoder without that head is another, worse model. The `model_type` in `config.json` is therefore "
         "`qing_bert_ngrams`, which `AutoConfig` and `AutoModelForSequenceClassification` refuse. `AutoTokenizer` "
         "loads "
         "the tokenizer, with equal token ids.";
}

const char* kind_of(nn::Problem problem) {
  switch (problem) {
    case nn::Problem::multi_label: return "text classifier of any number of labels for each text";
    case nn::Problem::ordinal: return "text classifier of ordered labels";
    case nn::Problem::regression: return "regression of texts";
    default: return "text classifier";
  }
}

std::string model_section(const fs::path& model, const CardFacts& facts, const nn::ClassifierConfig& config) {
  const nn::EncoderConfig& encoder = config.encoder;
  const std::string from = starting_point(facts.record);
  const std::string begin =
      from.empty() ? "trained from random weights" : fmt::format("fine-tuned from {}", plain(from));
  return fmt::format(
      "A {}-architecture {} {}: {} layers of width {} with {} heads, a vocabulary of {} entries, texts of "
      "up to {} tokens; {} parameters, {:.1f} MB{}. Labels: {}. {}\n",
      encoder.family == nn::EncoderFamily::bert ? "BERT" : nn::names_of(encoder.family).class_prefix,
      kind_of(config.problem), begin, encoder.num_hidden_layers, encoder.hidden_size, encoder.num_attention_heads,
      encoder.vocab_size, encoder.max_tokens(), count_parameters(model),
      static_cast<double>(fs::file_size(model / "model.safetensors")) / 1e6,
      config.ngram_head ? "; and a linear head on n-grams of the whole text, however long" : "",
      plain(fmt::format("{}", fmt::join(values_of(facts.record.settings, "labels"), ", "))), loaders(config));
}

// Distillation (Hinton et al. 2015) from the teachers. A folder that is gone since has no architecture.
std::string teachers_section(const RunRecord& record) {
  std::string text =
      "The targets hold the mean of these models' predictions.\n\n| teacher | architecture | SHA-256 of "
      "the weights |\n|---|---|---|\n";
  for (const DataFile& teacher : record.teachers) {
    const fs::path folder = teacher.path;
    std::string architecture = "unknown";
    if (fs::exists(folder / "config.json")) {
      const nn::EncoderConfig encoder = nn::ClassifierConfig::load(folder / "config.json").encoder;
      architecture = fmt::format("{}, {} layers of width {}", nn::names_of(encoder.family).class_prefix,
                                 encoder.num_hidden_layers, encoder.hidden_size);
    }
    text += fmt::format("| {} | {} | `{}` |\n", plain(fs::weakly_canonical(folder).filename().string()), architecture,
                        teacher.sha256);
  }
  return text;
}

std::string best_sentence(const CardFacts& facts) {
  const std::vector<std::string>& best = values_of(facts.record.settings, "best");
  const std::string text =
      facts.best_step == 0
          ? "The model is the last one."
          : fmt::format(
                "The model is the best by mean {} over the dev sets, from step {}. The last model is in `run/last`.",
                best.empty() ? measures().front().noun : measure_of(best.front()).noun, facts.best_step);
  return facts.search.empty() ? text : text + "\n\nThe options come from a search. " + facts.search;
}

std::string label_markdown(const Evaluation& evaluation) {
  std::string text = "| label | precision | recall (95% interval) | F1 | texts |\n|---|---|---|---|---|\n";
  for (int64_t i = 0; i < evaluation.all.labels(); ++i) {
    const nn::LabelMetrics one = evaluation.all.label(i);
    text += fmt::format("| {} | {} | {} | {} | {} |\n", plain(evaluation.labels[static_cast<size_t>(i)]),
                        percent(one.precision), with_interval(one.recall, recall_interval(evaluation.all, i)),
                        percent(one.f1), one.support);
  }
  return text;
}

std::string source_markdown(const Evaluation& evaluation) {
  std::string text =
      "| source | texts | accuracy (95% interval) | macro-recall (95% interval) | macro-F1 |\n|---|---|---|---|---|\n";
  for (const auto& [source, matrix] : evaluation.per_source) {
    text +=
        fmt::format("| {} | {} | {} | {} | {} |\n", plain(source), matrix.total(),
                    with_interval(matrix.accuracy(), accuracy_interval(matrix)),
                    with_interval(matrix.macro_recall(), macro_recall_interval(matrix)), percent(matrix.macro_f1()));
  }
  return text;
}

constexpr const char* kNotMeasured = "Not measured: the training had no dev set, or was interrupted.\n";

// The measures of the order, for ordered labels.
std::string order_markdown(const CardFacts& facts) {
  std::string text =
      "\nThe labels have an order. The mean absolute errors are those of the predicted labels and of the expected "
      "values.\n\n| dev set | quadratic weighted kappa (95% interval) | mean absolute error (95% interval) | of the "
      "expected value |\n|---|---|---|---|\n";
  for (const auto& [name, evaluation] : facts.dev) {
    const nn::Interval kappa = kappa_interval(evaluation.all), error = mae_interval(evaluation.all, evaluation.places);
    text += fmt::format("| {} | {:.4f} ({:.4f} to {:.4f}) | {:.4f} ({:.4f} to {:.4f}) | {:.4f} |\n", plain(name),
                        nn::quadratic_weighted_kappa(evaluation.all), kappa.low, kappa.high,
                        nn::mean_absolute_error(evaluation.all, evaluation.places), error.low, error.high,
                        value_error(evaluation));
  }
  return text;
}

std::string scores_section(const CardFacts& facts) {
  if (facts.measured) return facts.measured->scores.empty() ? kNotMeasured : facts.measured->scores;
  if (facts.dev.empty()) return kNotMeasured;
  std::string text =
      "Percent; 95% intervals by Wilson's formula for shares and by bootstrap for means over labels.\n\n"
      "| dev set | texts | accuracy | macro-recall | macro-F1 |\n|---|---|---|---|---|\n";
  for (const auto& [name, evaluation] : facts.dev) {
    const nn::ConfusionMatrix& all = evaluation.all;
    text += fmt::format("| {} | {} | {} | {} | {} |\n", plain(name), all.total(),
                        with_interval(all.accuracy(), accuracy_interval(all)),
                        with_interval(all.macro_recall(), macro_recall_interval(all)),
                        with_interval(all.macro_f1(), macro_f1_interval(all)));
  }
  if (!facts.dev.front().second.places.empty()) text += order_markdown(facts);
  text += "\n![Confusion matrices](run/confusion.svg)\n";
  for (const auto& [name, evaluation] : facts.dev) {
    text += fmt::format("\n### {}\n\n{}\n{}", plain(name), label_markdown(evaluation), source_markdown(evaluation));
  }
  return text;
}

std::string calibration_section(const CardFacts& facts, const nn::ClassifierConfig& config) {
  if (facts.dev.empty()) return "Scores are the softmax of the logits, without calibration.\n";
  const double temperature = facts.calibration.temperature;
  std::string text = fmt::format(
      "Scores are the softmax of the logits divided by a temperature of {:.4f}. This temperature has the least log "
      "loss "
      "on all dev sets together (Guo et al. 2017), with smoothed targets (Platt 1999). It is fitted to {} texts, of "
      "which the model misclassifies {}. It is stored in `config.json` as `calibration_temperature`. It changes no "
      "label "
      "and no logit{}.\n\n",
      temperature, facts.calibration.texts, facts.calibration.wrong,
      config.ngram_head ? "" : ", and `transformers` does not apply it");
  const std::string warning = calibration_warning(facts.calibration);
  if (!warning.empty()) text += fmt::format("**Warning:** {}.\n\n", warning);
  text += "| dev set | log loss before | after | expected calibration error before | after |\n|---|---|---|---|---|\n";
  for (const auto& [name, evaluation] : facts.dev) {
    const nn::LabelledLogits logits = evaluation.labelled_logits();
    text += fmt::format("| {} | {:.4f} | {:.4f} | {:.4f} | {:.4f} |\n", plain(name), nn::log_loss(logits),
                        nn::log_loss(logits, temperature), nn::expected_calibration_error(logits),
                        nn::expected_calibration_error(logits, temperature));
  }
  return text;
}

std::string limits_section(const CardFacts& facts) {
  std::string text;
  const bool thresholds = facts.measured && !facts.measured->thresholds.empty();
  if (!facts.dev.empty() || thresholds) {
    text += fmt::format("- The dev sets chose the model and its {}, so the scores on them are slightly too high.\n",
                        thresholds ? "thresholds" : "temperature");
  } else if (facts.measured && !facts.measured->scores.empty()) {
    text += "- The dev sets chose the model, so the scores on them are slightly too high.\n";
  }
  return text + "- Expect lower scores for languages, subjects and kinds of text that are not in the training data.\n" +
         (facts.measured ? ""
                         : "- The model gives one of its labels to every text, even if none of them applies. Look at "
                           "the scores.\n") +
         "- The model repeats the biases of its data. Do not let it decide about people on its own.\n"
         "- The rights to the data belong to their owners. This card does not list them.\n";
}

}  // namespace

std::string model_card(const fs::path& model, const CardFacts& facts) {
  const nn::ClassifierConfig config = nn::ClassifierConfig::load(model / "config.json");
  const std::string calibration = !facts.measured ? section("Calibration", calibration_section(facts, config))
                                  : facts.measured->thresholds.empty()
                                      ? ""
                                      : section("Thresholds", facts.measured->thresholds);
  return card_head(model, facts.record.command, config.ngram_head ? "qing" : "transformers", "text-classification") +
         model_section(model, facts, config) + section("Data", data_section(facts.record)) +
         (facts.record.teachers.empty() ? "" : section("Teachers", teachers_section(facts.record))) +
         section("Training", training_section(facts.record, facts.result, best_sentence(facts))) +
         section("Scores", scores_section(facts)) + calibration + section("Limits", limits_section(facts)) +
         section("Train it again", reproduce_section(facts.record));
}

void write_model_card(const fs::path& model, const CardFacts& facts) { write_card(model, model_card(model, facts)); }

}  // namespace qing::serve::cli
