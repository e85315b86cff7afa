#include <qing/nn/models/task_model.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json.hpp>
#include <span>
#include <utility>

#include <qing/nn/models/task_config.h>
#include <qing/nn/models/version_folders.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

constexpr const char* kTaskFile = "config.json";
constexpr size_t kMostTaskName = 64;

// How the names of transformers' classes end.
constexpr std::pair<std::string_view, std::string_view> kArchitectureTasks[] = {
    {"ForTokenClassification", "tagging"},
    {"ForImageClassification", "image"},
    {"MarianMTModel", "translation"},
    {"M2M100ForConditionalGeneration", "translation"},
    {"BartForConditionalGeneration", "translation"},  // and mBART's
    {"T5ForConditionalGeneration", "translation"},
};

std::string_view task_of_architecture(const ConfigReader& reader) {
  const boost::json::value* value = reader.find("architectures");
  const boost::json::array* names = value == nullptr ? nullptr : value->if_array();
  if (names == nullptr || names->size() != 1 || !names->front().is_string()) return kClassification;
  const std::string_view name = names->front().get_string();
  const auto found =
      std::ranges::find_if(kArchitectureTasks, [&](const auto& row) { return name.ends_with(row.first); });
  return found == std::end(kArchitectureTasks) ? kClassification : found->second;
}

// Of a long list the first, and how many others there are.
std::string first_names(std::span<const std::string> names) {
  constexpr size_t kShown = 20;
  const size_t shown = std::min(names.size(), kShown);
  const std::string text = fmt::format("{}", fmt::join(names.first(shown), ", "));
  return shown == names.size() ? text : fmt::format("{} and {} more", text, names.size() - shown);
}

}  // namespace

std::string task_in(const ConfigReader& reader) {
  std::string task = reader.text("task", task_of_architecture(reader));
  const auto of_name = [](char c) { return (c >= 'a' && c <= 'z') || c == '-' || c == '_'; };
  if (task.empty() || task.size() > kMostTaskName || !std::ranges::all_of(task, of_name)) {
    reader.fail(R"(task: is no name of a task, such as "classification"; correct it or leave it out)");
  }
  return task;
}

const std::vector<std::string>& TaskModel::labels() const {
  static const std::vector<std::string> kNone;
  return kNone;
}

bool TaskModel::can_replace(const TaskModel& other) const {
  return task() == other.task() && labels() == other.labels();
}

std::string TaskModel::answer_kind() const { return fmt::format("the labels {}", first_names(labels())); }

std::string task_of(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kTaskFile;
  return is_there(file) ? task_in(ConfigReader(file)) : std::string(kClassification);
}

void require_task(const ConfigReader& reader, std::string_view task) {
  const std::string found = task_in(reader);
  if (found == task) return;
  reader.fail(fmt::format("task: this is a model of the task \"{}\"; give a model of the task \"{}\"", found, task));
}

void require_task(const std::filesystem::path& folder, std::string_view task) {
  const std::filesystem::path file = folder / kTaskFile;
  if (is_there(file)) return require_task(ConfigReader(file), task);
  refuse_folder_of_versions(folder);
  if (task != kClassification) throw IoError(fmt::format("{}: is missing; give the folder of a model", file.string()));
}

}  // namespace qing::nn
