#include <qing/serve/cli/task_command.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <qing/serve/cli/number_from.h>
#include <qing/serve/cli/task_driver.h>
#include <qing/serve/cli/training_command.h>
#include <qing/serve/cli/training_ranks.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/runs/toml_file.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;

constexpr double kTaskDevShare = 0.1;

struct TaskArguments : TrainingArguments {
  std::unique_ptr<TaskRecipe> recipe;
  double dev_share = kTaskDevShare;
  bool dev_share_given = false;
};

// The last value of an option; empty without it.
std::string value_in(const std::vector<std::string>& words, const std::string& option) {
  std::string value;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == option && i + 1 < words.size()) value = words[i + 1];
    if (words[i].starts_with(option + "=")) value = words[i].substr(option.size() + 1);
  }
  return value;
}

std::string task_in_file(const fs::path& file) {
  try {
    for (const TomlEntry& entry : read_toml(file)) {
      if (entry.section.empty() || entry.section == "train") {
        if (entry.key == "task" && entry.values.size() == 1) return entry.values.front();
      }
    }
  } catch (const std::exception&) {  // read_configs() tells why
  }
  return {};
}

void add_own_option(CLI::App& command, const TaskOption& row) {
  const auto add = [&](auto* value) {
    using T = std::remove_pointer_t<decltype(value)>;
    CLI::Option* option = command.add_option(fmt::format("--{}", row.name), *value, row.help);
    option->group(row.group);
    if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, double>) {
      option->check(in_range<T>(row.range))->capture_default_str();
    } else if constexpr (std::is_same_v<T, std::string>) {
      option->capture_default_str();
      if (!row.choices.empty()) option->check(CLI::IsMember(row.choices));
    } else if constexpr (std::is_same_v<T, fs::path>) {
      option->type_name("PATH");
    } else {
      option->allow_extra_args(false);
      if constexpr (std::is_same_v<T, std::vector<fs::path>>) option->type_name("FILE");
    }
  };
  std::visit(add, row.value);
}

void run_task(TaskArguments& a, const Task& task, optim::Communicator* ranks) {
  if (ranks != nullptr && ranks->size() > 1 && !task.trains_in_ranks()) {
    throw UsageError(fmt::format("--task {} trains in one process; leave mpirun out", task.name()));
  }
  if (!task.holds_out() || a.dev_share == 0) {
    a.evaluates = !a.dev.empty();
    check_evaluations(a);  // before the data are read
  }
  const auto read = [&](bool speaks) {
    return a.recipe->read({.data = a.data,
                           .dev = a.dev,
                           .dev_share = task.holds_out() && a.dev.empty() ? a.dev_share : 0,
                           .dev_share_given = a.dev_share_given,
                           .options = a.options,
                           .speaks = speaks});
  };
  run_training(a, read, ranks);
}

}  // namespace

const Task* chosen_task(const CommandLine& line) {
  const std::vector<std::string>& words = line.arguments;
  if (words.empty() || words.front() != "train") return nullptr;
  std::string name = value_in(words, "--task");
  if (const std::string file = value_in(words, "--config"); name.empty() && !file.empty()) name = task_in_file(file);
  if (const std::string out = value_in(words, "--out"); name.empty() && std::ranges::count(words, "--resume") > 0) {
    if (const auto file = recorded_config(out)) name = task_in_file(*file);
  }
  return find_task(name);
}

void add_task_option(CLI::App& command, std::string& name) {
  std::vector<std::string> names = {std::string(nn::kClassification)};
  for (const auto& task : tasks()) names.emplace_back(task->name());
  command
      .add_option("--task", name,
                  "Task that the model is trained for. Each has options of its own: qing train --task NAME --help")
      ->check(CLI::IsMember(names))
      ->default_str(std::string(nn::kClassification))
      ->group("Task");
}

void add_task_training(CommandLine& line, CLI::App& command, const Task& task) {
  const auto a = std::make_shared<TaskArguments>();
  a->options = task.defaults();
  a->task = task.name();
  a->units = task.units();
  a->recipe = task.recipe();
  command.description(task.about());
  add_task_option(command, a->task);
  add_file_option(command, "--data", a->data,
                  fmt::format("{}. Required. Repeat it for several", task.data_help()).c_str());
  add_file_option(command, "--dev", a->dev,
                  fmt::format("Dev set, on which the best model is chosen. {} Repeat it for several",
                              task.holds_out() ? "Without it a share of --data is held out (--dev-share)."
                                               : "Without it the last model is kept.")
                      .c_str());
  if (task.holds_out()) {
    command
        .add_option("--dev-share", a->dev_share,
                    "Fraction of --data that is held out as the dev set without --dev. 0 trains on all of it and keeps "
                    "the last model")
        ->check(in_range<double>(optim::rows::kBelowOne))
        ->capture_default_str()
        ->group("Files");
  }
  for (const TaskOption& option : a->recipe->options()) add_own_option(command, option);
  add_training_options(command, *a, task.options(), "score");
  command.callback([&line, &command, &task, a] {
    read_configs(command, *a);
    a->dev_share_given = task.holds_out() && command.count("--dev-share") > 0;
    line.run = [&task, a] { with_ranks(a->threads, [&](optim::Communicator* ranks) { run_task(*a, task, ranks); }); };
  });
}

}  // namespace qing::serve::cli
