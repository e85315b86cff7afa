#include <qing/serve/tasks/translation/translation_card.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include <qing/nn/models/translation_folder.h>
#include <qing/optim/translation/translation_scores.h>
#include <qing/serve/reports/card_sections.h>
#include <qing/serve/runs/set_scores.h>

namespace qing::serve::translation {
namespace {

namespace fs = std::filesystem;

std::string model_section(const fs::path& model, const nn::TranslationFolder& folder, const TaskFacts& facts) {
  const nn::TranslationConfig& config = folder.model->config();
  std::vector<std::string> names;
  for (const nn::TranslationDirection& direction : folder.directions) names.push_back(name_of(direction));
  const std::string from = cli::starting_point(facts.record);
  return fmt::format(
      "A Transformer that translates {}, {}: {} encoder and {} decoder layers of width {} with {} heads, a byte-level "
      "vocabulary of {} entries that the languages share, sources of up to {} tokens; {} parameters, {:.1f} MB.\n\n"
      "```sh\nqing translate --model DIR TEXT\n```\n",
      cli::plain(fmt::format("{}", fmt::join(names, ", "))),
      from.empty() ? "trained from random weights" : fmt::format("fine-tuned from {}", cli::plain(from)),
      config.encoder_layers, config.decoder_layers, config.width, config.encoder_heads, config.vocab_size,
      config.max_tokens, cli::count_parameters(model),
      static_cast<double>(fs::file_size(model / "model.safetensors")) / 1e6);
}

std::string licences_of(const TranslationArguments& arguments) {
  if (arguments.licences.empty()) {
    return "\nThe rights to the data belong to their owners. This card does not list them.\n";
  }
  std::string text = "\nLicences:\n\n";
  for (const std::string& licence : arguments.licences) text += fmt::format("- {}\n", cli::plain(licence));
  return text;
}

std::string kept_sentence(const TaskFacts& facts) {
  if (facts.best_step == 0) return "The model is the last one.";
  return fmt::format(
      "The model is the best by the mean loss over the dev sets, from step {}. The last model is in `run/last`.",
      facts.best_step);
}

std::string scores_section(const nn::TranslationFolder& folder, const TaskFacts& facts,
                           const TranslationArguments& arguments) {
  if (facts.dev.empty()) return "Not measured: the training had no dev set, or was interrupted.\n";
  std::string text = fmt::format(
      "BLEU and chrF as `sacrebleu` computes them, with 95% bootstrap intervals, of {} translations. The perplexity is "
      "that of a token.\n\n| dev set | sentences | perplexity | BLEU | chrF |\n|---|---|---|---|---|\n",
      arguments.eval_beam == 1 ? "greedy" : fmt::format("beam {}", arguments.eval_beam));
  for (const cli::SetScores& set : facts.dev) {
    text += fmt::format("| {} | {:.0f} | {:.2f} | {:.1f} ({:.1f} to {:.1f}) | {:.1f} ({:.1f} to {:.1f}) |\n",
                        cli::plain(set.name), value_of(set, "sentences"), value_of(set, "perplexity"),
                        value_of(set, "bleu"), value_of(set, "bleu_low"), value_of(set, "bleu_high"),
                        value_of(set, "chrf"), value_of(set, "chrf_low"), value_of(set, "chrf_high"));
  }
  text += "\n";
  for (const nn::TranslationDirection& direction : folder.directions) {
    text += fmt::format("- {}: BLEU `{}`, chrF `{}`\n", cli::plain(name_of(direction)),
                        nn::bleu_signature(optim::bleu_tokenizer_of(direction.to)), nn::chrf_signature());
  }
  return text;
}

constexpr const char* kTranslationLimits =
    "- The dev sets chose the model, so the scores on them are slightly too high.\n"
    "- Expect worse translations of subjects and kinds of text that are not in the training data.\n"
    "- A translation may leave out, add or invent what the source does not say. Have a person read what matters.\n"
    "- The model repeats the biases of its data.\n";

}  // namespace

std::string translation_card(const fs::path& model, const TaskFacts& facts, const TranslationArguments& arguments) {
  const nn::TranslationFolder folder = nn::load_translation_model(model);
  return cli::card_head(model, facts.record.command, "qing", "translation") + model_section(model, folder, facts) +
         cli::section("Data", cli::data_section(facts.record) + licences_of(arguments)) +
         cli::section("Training", cli::training_section(facts.record, facts.result, kept_sentence(facts))) +
         cli::section("Scores", scores_section(folder, facts, arguments)) + cli::section("Limits", kTranslationLimits) +
         cli::section("Train it again", cli::reproduce_section(facts.record));
}

}  // namespace qing::serve::translation
