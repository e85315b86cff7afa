#include <qing/serve/reports/card_sections.h>

#include <fmt/format.h>

#include <algorithm>

#include <qing/nn/formats/safetensors.h>
#include <qing/optim/classifier/replaced_options.h>
#include <qing/serve/common/characters.h>
#include <qing/serve/common/version.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/tensor/files.h>
#include <qing/tensor/kernels/kernels.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = "<!-- written by qing ";

}  // namespace

std::string plain(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|' || c == '`' || c == '*' || c == '_' || c == '<' || c == '\\' || c == '[') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string percent(double value) { return fmt::format("{:.2f}", 100 * value); }

std::string card_head(const fs::path& model, const std::string& command, const char* library, const char* task) {
  const fs::path folder = fs::weakly_canonical(model);
  // A version's folder is NAME/VERSION, as servers have them.
  const bool is_version = has_only(folder.filename().string(), is_digit);
  const std::string name = (is_version ? folder.parent_path() : folder).filename().string();
  return fmt::format(
      "---\nlibrary_name: {}\npipeline_tag: {}\ntags: [qing]\n---\n{}{}, which will replace it -->\n\n# {}\n\n",
      library, task, kMark, command, plain(name));
}

std::string section(const char* title, const std::string& text) { return fmt::format("\n## {}\n\n{}", title, text); }

std::string data_section(const RunRecord& record) {
  std::string text = "| file | used for | texts |";
  std::string rule = "\n|---|---|---|";
  for (const std::string& label : values_of(record.settings, "labels")) {
    text += " " + plain(label) + " |";
    rule += "---|";
  }
  text += " SHA-256 |" + rule + "---|\n";
  std::vector<fs::path> paths;
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

std::string training_section(const RunRecord& record, const optim::TrainResult& result, const std::string& kept) {
  std::string text = fmt::format("{} steps of {} planned, {} epochs; mean loss of the last epoch {:.4f}. ",
                                 result.steps, result.total_steps, result.epochs, result.loss);
  if (result.interrupted) {
    text += fmt::format(
        "**Training was interrupted**: this model is not finished. `qing {} --resume --out DIR` continues. ",
        record.command);
  }
  if (result.early_stopped) text += "Training stopped early, because the dev scores no longer improved. ";
  return text + kept + "\n\n![Training loss](run/loss.svg)\n\n```toml\n" + to_toml(record.settings) + "```\n";
}

std::string reproduce_section(const RunRecord& record) {
  Settings settings = record.settings;
  // With --from the command refuses what the model decides.
  if (!starting_point(record).empty()) {
    std::erase_if(settings, [](const Setting& s) { return std::ranges::count(optim::kReplacedByModel, s.name) > 0; });
  }
  return fmt::format(
      "```sh\nqing {} {}\n```\n\nThe same files, options and kind of CPU give the same weights to the bit, for any "
      "number of threads. This model was trained by qing {} with {} kernels.\n",
      record.command, to_command_line(settings), kVersion, kernels::name_of(kernels::active_isa()));
}

std::string starting_point(const RunRecord& record) {
  const std::vector<std::string>& given = values_of(record.settings, "from");
  return given.empty() || given.front().empty() ? "" : fs::weakly_canonical(given.front()).filename().string();
}

int64_t count_parameters(const fs::path& model) {
  int64_t parameters = 0;
  for (const auto& [name, tensor] : nn::load_safetensors(model / "model.safetensors").tensors) {
    parameters += tensor.numel();
  }
  return parameters;
}

void write_card(const fs::path& model, const std::string& card) {
  const fs::path readme = model / "README.md";
  const bool foreign = fs::exists(readme) && read_file(readme).find(kMark) == std::string::npos;
  write_file_atomically(foreign ? model / "MODEL_CARD.md" : readme, card);
}

}  // namespace qing::serve::cli
