#include <qing/serve/tasks/tagging/tagging_card.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include <qing/nn/models/classifier_config.h>
#include <qing/nn/models/pretrained.h>
#include <qing/serve/reports/card_sections.h>
#include <qing/serve/runs/set_scores.h>

namespace qing::serve::tagging {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTypeScore = "f1_";

std::string tagger_section(const fs::path& model, const TaskFacts& facts) {
  const nn::ClassifierConfig config = nn::ClassifierConfig::load_for_tokens(model / nn::kConfigFile);
  const nn::EncoderConfig& encoder = config.encoder;
  const std::string from = cli::starting_point(facts.record);
  return fmt::format(
      "A {} encoder with a label for each word, {}: {} layers of width {} with {} heads, a vocabulary of {} entries, "
      "windows of up to {} tokens; {} parameters, {:.1f} MB. Labels: {}. It finds named entities: `qing predict "
      "--model "
      "DIR TEXT` prints them.\n\n`transformers` loads it (`AutoModelForTokenClassification`, `AutoTokenizer`), with "
      "equal logits. qing labels a word by its first token, and chooses the labels of a text together, so that no "
      "entity "
      "lacks its beginning.\n",
      nn::names_of(encoder.family).class_prefix,
      from.empty() ? "trained from random weights" : fmt::format("fine-tuned from {}", cli::plain(from)),
      encoder.num_hidden_layers, encoder.hidden_size, encoder.num_attention_heads, encoder.vocab_size,
      encoder.max_tokens(), cli::count_parameters(model),
      static_cast<double>(fs::file_size(model / "model.safetensors")) / 1e6,
      cli::plain(fmt::format("{}", fmt::join(config.labels, ", "))));
}

std::string kept_sentence(const TaskFacts& facts) {
  if (facts.best_step == 0) return "The model is the last one.";
  return fmt::format(
      "The model is the best by the mean F1 over the dev sets, from step {}. The last model is in `run/last`.",
      facts.best_step);
}

std::string tagger_scores(const TaskFacts& facts) {
  if (facts.dev.empty()) return "Not measured: the training had no dev set, or was interrupted.\n";
  std::string text =
      "Percent. Of entities, as `seqeval` counts them: one is right if its type and its words are. Accuracy is of the "
      "tags of words.\n\n| dev set | entities | F1 | precision | recall | accuracy |\n|---|---|---|---|---|---|\n";
  for (const cli::SetScores& set : facts.dev) {
    text += fmt::format("| {} | {:.0f} | {} | {} | {} | {} |\n", cli::plain(set.name), value_of(set, "entities"),
                        cli::percent(value_of(set, "f1")), cli::percent(value_of(set, "precision")),
                        cli::percent(value_of(set, "recall")), cli::percent(value_of(set, "accuracy")));
  }
  text += "\n| dev set | type | F1 |\n|---|---|---|\n";
  for (const cli::SetScores& set : facts.dev) {
    for (const auto& [name, value] : set.values) {
      if (!name.starts_with(kTypeScore)) continue;
      text += fmt::format("| {} | {} | {} |\n", cli::plain(set.name), cli::plain(name.substr(kTypeScore.size())),
                          cli::percent(value));
    }
  }
  return text;
}

constexpr const char* kTaggerLimits =
    "- The dev sets chose the model, so the scores on them are slightly too high.\n"
    "- Expect lower scores for languages, subjects and kinds of text that are not in the training data.\n"
    "- The model repeats the biases of its data. Do not let it decide about people on its own.\n"
    "- The rights to the data belong to their owners. This card does not list them.\n";

}  // namespace

std::string tagger_card(const fs::path& model, const TaskFacts& facts) {
  return cli::card_head(model, facts.record.command, "transformers", "token-classification") +
         tagger_section(model, facts) + cli::section("Data", cli::data_section(facts.record)) +
         cli::section("Training", cli::training_section(facts.record, facts.result, kept_sentence(facts))) +
         cli::section("Scores", tagger_scores(facts)) + cli::section("Limits", kTaggerLimits) +
         cli::section("Train it again", cli::reproduce_section(facts.record));
}

}  // namespace qing::serve::tagging
