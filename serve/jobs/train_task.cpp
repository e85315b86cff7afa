#include "train_task.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/optim/classifier/train_options.h>
#include <qing/serve/jobs/auto_options.h>
#include <qing/serve/jobs/job_texts.h>
#include <qing/serve/jobs/json_object_file.h>
#include <qing/serve/jobs/requested_options.h>
#include <qing/serve/jobs/task_error.h>
#include <qing/serve/runs/settings.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace json = boost::json;
namespace {

void add(cli::Settings& settings, const std::string& name, std::vector<std::string> values, bool text = false,
         bool list = false) {
  cli::Setting setting{.name = name, .values = std::move(values)};
  setting.text = text;
  setting.list = list;
  settings.push_back(std::move(setting));
}

// Whether the values of an option are texts in a configuration file.
bool is_text(const optim::TrainOption& option) {
  return std::holds_alternative<DType optim::TrainOptions::*>(option.member) ||
         std::holds_alternative<std::vector<std::string> optim::TrainOptions::*>(option.member);
}

// The options that prepare_training() uses itself.
constexpr std::array<std::string_view, 8> kNotTaken = {"labels",          kSearchOption,  kSlurmOption,
                                                       kKubernetesOption, "text-column",  "label-column",
                                                       "label-separator", "label-columns"};

// The flag of `qing train` for a kind of problem; null for single labels.
const char* flag_of(nn::Problem problem) {
  switch (problem) {
    case nn::Problem::multi_label: return "multi-label";
    case nn::Problem::ordinal: return "ordinal";
    case nn::Problem::regression: return "regression";
    default: return nullptr;
  }
}

}  // namespace

void prepare_training(const JobFolder& folder) {
  const json::object task = read_object_file(folder.task());
  const json::object& options = task.at("options").as_object();
  const std::string base = text_member_of(task, "base");
  const fs::path copy = fs::path("base") / base;
  Base begin;
  if (!base.empty()) {
    remove_tree(folder.path / "base");
    fs::create_directories(folder.path / copy);
    // Not what only concerns its own training.
    for (const fs::directory_entry& entry : entries_of(text_member_of(task, "base_folder"))) {
      if (entry.path().filename() != "run") {
        fs::copy(entry.path(), folder.path / copy / entry.path().filename(), fs::copy_options::recursive);
      }
    }
    begin = look_at_base(folder.path / copy);
  }
  const nn::DatasetOptions reading = reading_of(options, begin.problem);
  const bool same_head = nn::same_scores(begin.problem, reading.problem);
  json::object plan;
  const JobTexts texts = read_texts(task, reading, same_head ? begin.labels : std::vector<std::string>());
  write_examples(folder.path / "data.jsonl", texts.train, texts.labels, reading.problem);
  if (!texts.held.empty()) write_examples(folder.path / "dev.jsonl", texts.held, texts.labels, reading.problem);

  cli::Settings settings;
  add(settings, "data", {"data.jsonl"}, true, true);
  if (!texts.held.empty()) add(settings, "dev", {"dev.jsonl"}, true, true);
  add(settings, "dev-share", {"0"});
  if (const char* flag = flag_of(reading.problem)) add(settings, flag, {"1"});
  add(settings, "labels", texts.labels, true, true);
  if (!base.empty()) add(settings, "from", {copy.string()}, true);
  add(settings, "seed", {std::to_string(task.at("seed").as_int64())});
  const AutoOptions chosen = auto_options(begin, texts.train.size(), same_head && begin.labels == texts.labels,
                                          reading.problem, options, task.at("hyperparameters").as_object());
  for (const auto& [name, value] : chosen.options) add(settings, name, {value});
  for (const auto& [key, values] : options) {
    const std::string name(key);
    const bool is_set = std::ranges::find(settings, name, &cli::Setting::name) != settings.end();
    if (is_set || std::ranges::find(kNotTaken, name) != kNotTaken.end()) continue;
    const optim::TrainOption* row = requested_option(name);
    const bool text = row == nullptr ? name == "best" : is_text(*row);
    add(settings, name, json::value_to<std::vector<std::string>>(values), text);
  }
  if (const json::value* search = options.if_contains(kSearchOption)) {
    if (texts.held.empty()) {
      throw TaskError(
          {"invalid_training_file",
           fmt::format("a search needs texts to validate on: at least {} texts, or a validation file", kLeastToHold),
           std::string(kSearchOption)});
    }
    const auto values = json::value_to<std::vector<std::string>>(*search);
    plan["search"] = {
        {"settings", std::stoll(values.at(0))},
        {"steps", static_cast<std::int64_t>(std::stod(values.at(1)) * static_cast<double>(chosen.steps_of_epoch))},
        {"lr", std::stod(chosen.options.at("lr"))}};
  }
  write_file_atomically(folder.options(), cli::to_toml(settings));
  plan["hyperparameters"] = chosen.hyperparameters;
  plan["steps"] = chosen.steps;
  plan["steps_of_epoch"] = chosen.steps_of_epoch;
  plan["training_texts"] = texts.train.size();
  plan["validation_texts"] = texts.held.size();
  plan["labels"] = json::value_from(texts.labels);
  plan["problem"] = name_of(reading.problem);
  write_file_atomically(folder.plan(), json::serialize(plan));
}

}  // namespace qing::serve
