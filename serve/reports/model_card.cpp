#include <qing/serve/reports/model_card.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <qing/nn/formats/safetensors.h>
#include <qing/nn/models/classifier_config.h>
#include <qing/serve/common/version.h>
#include <qing/serve/runs/dev_scores.h>
#include <qing/tensor/files.h>
#include <qing/tensor/kernels/kernels.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = "<!-- written by qing train, which will replace it -->";

// Escapes the characters of a label or a path that have a meaning in Markdown.
std::string plain(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|' || c == '`' || c == '*' || c == '_' || c == '<' || c == '\\' || c == '[') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string percent(double value) { return fmt::format("{:.2f}", 100 * value); }

std::string percent(double value, nn::Interval interval) {
  return fmt::format("{:.2f} ({:.2f} to {:.2f})", 100 * value, 100 * interval.low, 100 * interval.high);
}

std::string section(const char* title, const std::string& text) { return fmt::format("\n## {}\n\n{}", title, text); }

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

std::string model_section(const fs::path& model, const CardFacts& facts, const nn::ClassifierConfig& config) {
  const nn::EncoderConfig& encoder = config.encoder;
  const std::vector<std::string>& given = values_of(facts.record.settings, "from");
  const std::string from = given.empty() ? "" : fs::weakly_canonical(given.front()).filename().string();
  int64_t parameters = 0;
  for (const auto& [name, tensor] : nn::load_safetensors(model / "model.safetensors").tensors) {
    parameters += tensor.numel();
  }
  const std::string begin =
      from.empty() ? "trained from random weights" : fmt::format("fine-tuned from {}", plain(from));
  return fmt::format(
      "A {}-architecture text classifier {}: {} layers of width {} with {} heads, a vocabulary of {} entries, texts of "
      "up to {} tokens; {} parameters, {:.1f} MB{}. Labels: {}. {}\n",
      encoder.family == nn::EncoderFamily::bert ? "BERT" : nn::names_of(encoder.family).class_prefix, begin,
      encoder.num_hidden_layers, encoder.hidden_size, encoder.num_attention_heads, encoder.vocab_size,
      encoder.max_tokens(), parameters, static_cast<double>(fs::file_size(model / "model.safetensors")) / 1e6,
      config.ngram_head ? "; and a linear head on n-grams of the whole text, however long" : "",
      plain(fmt::format("{}", fmt::join(values_of(facts.record.settings, "labels"), ", "))), loaders(config));
}

std::string data_section(const CardFacts& facts) {
  std::string text = "| file | used for | texts |";
  std::string rule = "\n|---|---|---|";
  for (const std::string& label : values_of(facts.record.settings, "labels")) {
    text += " " + plain(label) + " |";
    rule += "---|";
  }
  text += " SHA-256 |" + rule + "---|\n";
  std::vector<fs::path> paths;
  const RunRecord& record = facts.record;
  for (const auto* files : {&record.data, &record.extra, &record.unlabelled, &record.dev}) {
    for (const DataFile& file : *files) paths.emplace_back(file.path);
  }
  const std::vector<std::string> names = names_of(paths, paths);
  auto name = names.begin();
  const auto add = [&](const std::vector<DataFile>& files, const char* use) {
    for (const DataFile& file : files) {
      text += fmt::format("| {} | {} | {} |", plain(*name++), use, file.texts());
      for (size_t i = 0; i < values_of(record.settings, "labels").size(); ++i) {
        text += i < file.label_texts.size() ? fmt::format(" {} |", file.label_texts[i]) : " – |";
      }
      text += fmt::format(" `{}` |\n", file.sha256);
    }
  };
  add(record.data, "training");
  add(record.extra, "training, a fraction per epoch");
  add(record.unlabelled, "training by teachers, without labels");
  add(record.dev, "model selection and evaluation");
  return text;
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

std::string training_section(const CardFacts& facts) {
  const optim::TrainResult& result = facts.result;
  std::string text = fmt::format("{} steps of {} planned, {} epochs; mean loss of the last epoch {:.4f}. ",
                                 result.steps, result.total_steps, result.epochs, result.loss);
  if (result.interrupted) {
    text += "**Training was interrupted**: this model is not finished. `qing train --resume --out DIR` continues. ";
  }
  if (result.early_stopped) text += "Training stopped early, because the dev scores no longer improved. ";
  const std::vector<std::string>& best = values_of(facts.record.settings, "best");
  text += facts.best_step > 0
              ? fmt::format(
                    "The model is the best by mean {} over the dev sets, from step {}. The last model is in "
                    "`run/last`.",
                    best.empty() ? measures().front().noun : measure_of(best.front()).noun, facts.best_step)
              : "The model is the last one.";
  if (!facts.search.empty()) text += "\n\nThe options come from a search. " + facts.search;
  text += "\n\n![Training loss](run/loss.svg)\n\n```toml\n" + to_toml(facts.record.settings) + "```\n";
  return text;
}

std::string label_markdown(const Evaluation& evaluation) {
  std::string text = "| label | precision | recall (95% interval) | F1 | texts |\n|---|---|---|---|---|\n";
  for (int64_t i = 0; i < evaluation.all.labels(); ++i) {
    const nn::LabelMetrics one = evaluation.all.label(i);
    text += fmt::format("| {} | {} | {} | {} | {} |\n", plain(evaluation.labels[static_cast<size_t>(i)]),
                        percent(one.precision), percent(one.recall, recall_interval(evaluation.all, i)),
                        percent(one.f1), one.support);
  }
  return text;
}

std::string source_markdown(const Evaluation& evaluation) {
  std::string text =
      "| source | texts | accuracy (95% interval) | macro-recall (95% interval) | macro-F1 |\n|---|---|---|---|---|\n";
  for (const auto& [source, matrix] : evaluation.per_source) {
    text += fmt::format("| {} | {} | {} | {} | {} |\n", plain(source), matrix.total(),
                        percent(matrix.accuracy(), accuracy_interval(matrix)),
                        percent(matrix.macro_recall(), macro_recall_interval(matrix)), percent(matrix.macro_f1()));
  }
  return text;
}

std::string scores_section(const CardFacts& facts) {
  if (facts.dev.empty()) return "Not measured: the training had no dev set, or was interrupted.\n";
  std::string text =
      "Percent; 95% intervals by Wilson's formula for shares and by bootstrap for means over labels.\n\n"
      "| dev set | texts | accuracy | macro-recall | macro-F1 |\n|---|---|---|---|---|\n";
  for (const auto& [name, evaluation] : facts.dev) {
    const nn::ConfusionMatrix& all = evaluation.all;
    text += fmt::format(
        "| {} | {} | {} | {} | {} |\n", plain(name), all.total(), percent(all.accuracy(), accuracy_interval(all)),
        percent(all.macro_recall(), macro_recall_interval(all)), percent(all.macro_f1(), macro_f1_interval(all)));
  }
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
  if (!facts.dev.empty()) {
    text += "- The dev sets chose the model and its temperature, so the scores on them are slightly too high.\n";
  }
  return text +
         "- Expect lower scores for languages, subjects and kinds of text that are not in the training data.\n"
         "- The model gives one of its labels to every text, even if none of them applies. Look at the scores.\n"
         "- The model repeats the biases of its data. Do not let it decide about people on its own.\n"
         "- The rights to the data belong to their owners. This card does not list them.\n";
}

std::string reproduce_section(const CardFacts& facts) {
  return fmt::format(
      "```sh\nqing train {}\n```\n\nThe same files, options and kind of CPU give the same weights to the bit, for any "
      "number of threads. This model was trained by qing {} with {} kernels.\n",
      to_command_line(facts.record.settings), kVersion, kernels::name_of(kernels::active_isa()));
}

}  // namespace

std::string model_card(const fs::path& model, const CardFacts& facts) {
  const nn::ClassifierConfig config = nn::ClassifierConfig::load(model / "config.json");
  return fmt::format("---\nlibrary_name: {}\npipeline_tag: text-classification\ntags: [qing]\n---\n",
                     config.ngram_head ? "qing" : "transformers") +
         fmt::format("{}\n\n# {}\n\n", kMark, plain(fs::weakly_canonical(model).filename().string())) +
         model_section(model, facts, config) + section("Data", data_section(facts)) +
         (facts.record.teachers.empty() ? "" : section("Teachers", teachers_section(facts.record))) +
         section("Training", training_section(facts)) + section("Scores", scores_section(facts)) +
         section("Calibration", calibration_section(facts, config)) + section("Limits", limits_section(facts)) +
         section("Train it again", reproduce_section(facts));
}

void write_model_card(const fs::path& model, const CardFacts& facts) {
  const fs::path readme = model / "README.md";
  const bool foreign = fs::exists(readme) && read_file(readme).find(kMark) == std::string::npos;
  write_file_atomically(foreign ? model / "MODEL_CARD.md" : readme, model_card(model, facts));
}

}  // namespace qing::serve::cli
