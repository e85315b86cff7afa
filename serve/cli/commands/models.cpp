// `qing models`: what a folder of models holds, without loading it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <qing/nn/models/classifier_config.h>
#include <qing/nn/models/sentence_embedding.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/shipped_model.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/output.h>
#include <qing/serve/registry/registry.h>
#include <qing/serve/tasks/task.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/folders.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;

// One version of a model.
struct Found {
  std::string name;
  std::int64_t version;
  std::string task;  // as model hubs name it, or as qing does
  std::vector<std::string> labels;
  std::uintmax_t bytes = 0;  // of all files, those of its training included
  std::string card;          // the file's path; empty: none
  std::string error;         // why it cannot be served, as far as its configuration tells
};

std::uintmax_t bytes_below(const fs::path& folder) {
  std::uintmax_t bytes = 0;
  for (const fs::directory_entry& entry : entries_below(folder)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

std::string card_of(const fs::path& folder) {
  for (const char* name : {"MODEL_CARD.md", "README.md"}) {
    if (fs::exists(folder / name)) return (folder / name).string();
  }
  return "";
}

Found look_at(const fs::path& folder, const std::string& name, std::int64_t version) {
  Found found{name, version, "text-classification", {}, bytes_below(folder), card_of(folder), {}};
  try {
    if (nn::holds_sentence_embedding(folder)) {
      found.task = "feature-extraction";
    } else if (const std::string task = nn::task_of(folder); task != nn::kClassification) {
      found.task = task;
      if (find_task(task) == nullptr) throw DataError(fmt::format("task: is none of {}", task_names()));
    } else {
      found.labels = nn::ClassifierConfig::load(folder / "config.json").labels;
    }
  } catch (const Error& error) { found.error = error.what(); }
  return found;
}

// By name and version. A folder that the server would not serve from is left out.
std::vector<Found> all_below(const fs::path& root) {
  std::vector<Found> all;
  try {
    for (const fs::directory_entry& model : entries_of(root)) {
      const std::string name = model.path().filename().string();
      if (!is_model_name(name)) continue;
      for (const std::int64_t version : versions_below(model.path())) {
        all.push_back(look_at(model.path() / std::to_string(version), name, version));
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw IoError(fmt::format("{}: {}; give a readable folder that holds NAME/VERSION/", error.path1().string(),
                              error.code().message()));
  }
  std::ranges::sort(all, {}, [](const Found& found) { return std::pair(found.name, found.version); });
  return all;
}

std::string json_of(const Found& found) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("name", found.name).member("version", std::to_string(found.version));
  json.member("task", found.task);
  json.member("labels", found.labels).member("bytes", found.bytes).key("card");
  found.card.empty() ? json.raw("null") : json.value(found.card);
  if (!found.error.empty()) json.member("error", found.error);
  json.end();
  return json.take();
}

void run_models(const fs::path& given, bool as_json) {
  const fs::path root = given.empty() ? shipped_models() : given;
  const std::vector<Found> all = all_below(root);
  if (all.empty()) throw DataError(fmt::format("{}: holds no model; put one into NAME/1/", root.string()));
  size_t width = 24;
  for (const Found& found : all) width = std::max(width, found.name.size());
  if (!as_json) {
    print_line(fmt::format("{:<{}} {:>7} {:>10}  {:<32} {}", "name", width, "version", "size", "labels", "card"));
  }
  for (const Found& found : all) {
    const std::string labels = !found.error.empty()                 ? found.error
                               : found.task == "feature-extraction" ? "none: it gives embeddings"
                               : !found.labels.empty()              ? fmt::format("{}", fmt::join(found.labels, ", "))
                                                                    : "of the task " + found.task;
    print_line(as_json ? json_of(found)
                       : fmt::format("{:<{}} {:>7} {:>7.1f} MB  {:<32} {}", found.name, width, found.version,
                                     static_cast<double>(found.bytes) / 1e6, labels,
                                     found.card.empty() ? "none" : found.card));
  }
}

}  // namespace

void add_models(CommandLine& line) {
  CLI::App* command =
      line.app.add_subcommand("models", "List the models of a model repository: versions, labels, size and card");
  const auto root = std::make_shared<fs::path>();
  const auto json = std::make_shared<bool>(false);
  command
      ->add_option("--models", *root,
                   "Model repository: folder of NAME/VERSION/ folders. The default is the one shipped with qing")
      ->type_name("FOLDER");
  command->add_flag("--json", *json, "Print one JSON object per version");
  command->callback([&line, root, json] { line.run = [root, json] { run_models(*root, *json); }; });
}

}  // namespace qing::serve::cli
