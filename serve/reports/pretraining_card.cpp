#include <qing/serve/reports/pretraining_card.h>

#include <fmt/format.h>

#include <string>

#include <qing/nn/models/encoder_config.h>
#include <qing/serve/reports/card_sections.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;

std::string model_section(const fs::path& model, const RunRecord& record) {
  const nn::EncoderConfig encoder = nn::EncoderConfig::load(model / "config.json");
  const std::string from = starting_point(record);
  return fmt::format(
      "A {} encoder with a masked-language-model head, {}: {} layers of width {} with {} heads, a vocabulary of {} "
      "entries, texts of up to {} tokens; {} parameters, {:.1f} MB.\n\n"
      "`qing train --from DIR` fine-tunes it. `transformers` loads it (`AutoModelForMaskedLM`, `AutoTokenizer`).\n",
      nn::names_of(encoder.family).class_prefix,
      from.empty() ? "pretrained from random weights" : fmt::format("pretrained further from {}", plain(from)),
      encoder.num_hidden_layers, encoder.hidden_size, encoder.num_attention_heads, encoder.vocab_size,
      encoder.max_tokens(), count_parameters(model),
      static_cast<double>(fs::file_size(model / "model.safetensors")) / 1e6);
}

std::string best_sentence(const PretrainingFacts& facts) {
  if (facts.best_step == 0) return "The model is the last one.";
  return fmt::format(
      "The model has the least mean loss over the dev sets, at step {}. The last model is in `run/last`.",
      facts.best_step);
}

std::string scores_section(const std::vector<SetScores>& dev) {
  if (dev.empty()) return "Not measured: the training had no dev set, or was interrupted.\n";
  std::string text =
      "Of the masked tokens. Accuracy, in percent, is the share of them that has the highest score.\n\n"
      "| dev set | loss | perplexity | accuracy |\n|---|---|---|---|\n";
  for (const SetScores& set : dev) {
    text += fmt::format("| {} | {:.4f} | {:.2f} | {} |\n", plain(set.name), value_of(set, "loss"),
                        value_of(set, "perplexity"), percent(value_of(set, "accuracy")));
  }
  return text;
}

constexpr const char* kLimits =
    "- The dev sets chose the model, so the scores on them are slightly too high.\n"
    "- Perplexities of models with different vocabularies cannot be compared.\n"
    "- The model repeats the biases of its texts, and it may reproduce parts of them.\n"
    "- The rights to the texts belong to their owners. This card does not list them.\n";

}  // namespace

void write_pretraining_card(const fs::path& model, const PretrainingFacts& facts) {
  write_card(model, card_head(model, facts.record.command, "transformers", "fill-mask") +
                        model_section(model, facts.record) + section("Data", data_section(facts.record)) +
                        section("Training", training_section(facts.record, facts.result, best_sentence(facts))) +
                        section("Scores", scores_section(facts.dev)) + section("Limits", kLimits) +
                        section("Train it again", reproduce_section(facts.record)));
}

}  // namespace qing::serve::cli
