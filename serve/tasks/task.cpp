#include <qing/serve/tasks/task.h>

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include <qing/nn/models/pretrained.h>
#include <qing/nn/models/sentence_embedding.h>
#include <qing/tensor/errors.h>

namespace qing::serve {

Routed::Run Task::answer(Service&, const Model&, const Call&) const { return {}; }

Routed::Run Task::infer(Service&, const Model&, const Call&) const {
  throw Refusal(
      error_response(422, "unacceptable_model",
                     fmt::format("model: is of the task {}, which has no tensors here; use {}", name(), route())));
}

void Task::describe(const nn::TaskModel&, JsonWriter&) const {}

std::vector<std::string> Task::predict(const nn::TaskModel&, std::span<const std::string>, bool) const {
  throw Error(fmt::format("qing predict: does not know the task {}; serve the model and use {}", name(), route()));
}

const Task* find_task(std::string_view name) {
  const auto found = std::ranges::find_if(tasks(), [&](const auto& task) { return task->name() == name; });
  return found == tasks().end() ? nullptr : found->get();
}

std::string task_names() {
  std::vector<std::string_view> names = {nn::kClassification};
  for (const auto& task : tasks()) names.push_back(task->name());
  std::ranges::sort(names);
  std::string text;
  for (const std::string_view name : names) text += fmt::format("{}{}", text.empty() ? "" : ", ", name);
  return text;
}

std::shared_ptr<const nn::TaskModel> load_task_model(const std::filesystem::path& folder, DType precision) {
  const std::string name = nn::task_of(folder);
  if (name == nn::kClassification) return nn::load_text_model(folder, precision);
  const Task* task = find_task(name);
  if (task == nullptr) {
    throw DataError(fmt::format("{}: task: is \"{}\"; this version of qing has the tasks {}",
                                (folder / nn::kConfigFile).string(), name, task_names()));
  }
  return task->load(folder, precision);
}

}  // namespace qing::serve
