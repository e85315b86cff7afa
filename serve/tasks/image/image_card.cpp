#include <qing/serve/tasks/image/image_card.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include <qing/nn/models/image_config.h>
#include <qing/serve/reports/card_sections.h>
#include <qing/serve/reports/charts.h>
#include <qing/serve/runs/set_scores.h>
#include <qing/tensor/files.h>

namespace qing::serve::image {
namespace {

namespace fs = std::filesystem;

// A table of more labels does not fit on a page. confusion.svg has all.
constexpr size_t kMostShownLabels = 16;

std::string network_text(const nn::ImageConfig& config) {
  if (const auto* resnet = std::get_if<nn::ResidualNetworkConfig>(&config.network)) {
    return fmt::format("A residual network with batch norm: {} stages of {} channels, {} block{} each",
                       resnet->widths.size(), fmt::join(resnet->widths, ", "), resnet->blocks,
                       resnet->blocks == 1 ? "" : "s");
  }
  const auto& vit = std::get<nn::VisionTransformerConfig>(config.network);
  return fmt::format("A vision transformer: {} layers of width {} with {} heads, patches of {} x {} pixels, pooling {}",
                     vit.num_hidden_layers, vit.hidden_size, vit.num_attention_heads, vit.patch_size, vit.patch_size,
                     nn::name_of(vit.pooling));
}

std::string image_section(const fs::path& model) {
  const nn::ImageConfig config = nn::ImageConfig::load(model / "config.json");
  const nn::ImagePreprocessing& p = config.preprocessing;
  return fmt::format(
      "{}; {} parameters, {:.1f} MB. Labels: {}.\n\nImages become {} x {} pixels, {}, by {}. Each channel has its mean "
      "({:.4f}) subtracted and is divided by its deviation ({:.4f}). `config.json` records this, and serving does "
      "it.\n",
      network_text(config), cli::count_parameters(model),
      static_cast<double>(fs::file_size(model / "model.safetensors")) / 1e6,
      cli::plain(fmt::format("{}", fmt::join(config.labels, ", "))), p.width, p.height,
      p.channels == 1 ? "gray" : "red, green and blue",
      p.fit == nn::ImageFit::stretch ? "resizing both sides" : "resizing the shorter side and cutting out the middle",
      fmt::join(p.mean, ", "), fmt::join(p.std, ", "));
}

std::string image_kept_sentence(const TaskFacts& facts) {
  if (facts.best_step == 0) return "The model is the last one.";
  return fmt::format(
      "The model is the best by the mean accuracy over the dev sets, from step {}. The last model is in "
      "`run/last`.",
      facts.best_step);
}

std::string confusion_table(const std::vector<std::string>& labels, const nn::ConfusionMatrix& matrix) {
  std::string text = "| expected \\ predicted |", line = "|---|";
  for (const std::string& label : labels) {
    text += fmt::format(" {} |", cli::plain(label));
    line += "---|";
  }
  text += " recall |\n" + line + "---|\n";
  for (int64_t i = 0; i < matrix.labels(); ++i) {
    text += fmt::format("| {} |", cli::plain(labels[static_cast<size_t>(i)]));
    for (int64_t j = 0; j < matrix.labels(); ++j) text += fmt::format(" {} |", matrix.count(i, j));
    text += fmt::format(" {} |\n", cli::percent(matrix.label(i).recall));
  }
  return text;
}

std::string image_scores(const fs::path& model, const TaskFacts& facts, const NamedMatrices& matrices) {
  if (facts.dev.empty()) return "Not measured: the training had no dev set, or was interrupted.\n";
  std::string text = "Percent.\n\n| dev set | images | accuracy | macro-F1 | loss |\n|---|---|---|---|---|\n";
  for (const cli::SetScores& set : facts.dev) {
    text += fmt::format("| {} | {:.0f} | {} | {} | {:.4f} |\n", cli::plain(set.name), value_of(set, "images"),
                        cli::percent(value_of(set, "accuracy")), cli::percent(value_of(set, "macro_f1")),
                        value_of(set, "loss"));
  }
  const std::vector<std::string> labels = nn::ImageConfig::load(model / "config.json").labels;
  text += "\n![Confusion matrix](confusion.svg)\n";
  if (labels.size() > kMostShownLabels) return text;
  for (const auto& [name, matrix] : matrices) {
    text +=
        fmt::format("\nConfusion matrix of {}, in images:\n\n{}", cli::plain(name), confusion_table(labels, matrix));
  }
  return text;
}

constexpr const char* kImageLimits =
    "- The dev sets chose the model, so the scores on them are slightly too high.\n"
    "- Expect lower scores for pictures of another kind than the training data: other cameras, backgrounds or "
    "drawings. "
    "Every picture gets one of the labels, also one that shows something else.\n"
    "- The model repeats the biases of its data. Do not let it decide about people on its own.\n"
    "- The rights to the data belong to their owners. This card does not list them.\n";

}  // namespace

std::string image_card(const fs::path& model, const TaskFacts& facts, const NamedMatrices& matrices) {
  return cli::card_head(model, facts.record.command, "qing", "image-classification") + image_section(model) +
         cli::section("Data", cli::data_section(facts.record)) +
         cli::section("Training", cli::training_section(facts.record, facts.result, image_kept_sentence(facts))) +
         cli::section("Scores", image_scores(model, facts, matrices)) + cli::section("Limits", kImageLimits) +
         cli::section("Train it again", cli::reproduce_section(facts.record));
}

void write_confusion(const fs::path& model, const std::vector<std::string>& labels, const NamedMatrices& matrices) {
  if (matrices.empty()) return;
  write_file_atomically(model / "confusion.svg", cli::confusion_chart(labels, matrices));
}

}  // namespace qing::serve::image
