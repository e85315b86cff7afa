#include "train_task.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json.hpp>

#include <qing/nn/data/labelled_texts.h>
#include <qing/nn/models/classifier_config.h>
#include <qing/nn/models/sentence_embedding.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/optim/classifier/train_options.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/files/dataset.h>
#include <qing/serve/jobs/auto_options.h>
#include <qing/serve/jobs/json_object_file.h>
#include <qing/serve/jobs/setting_search.h>
#include <qing/serve/jobs/task_error.h>
#include <qing/serve/runs/settings.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace json = boost::json;
namespace {

// The least number of texts of which a part is held out for validation when the job has no validation file.
constexpr int kHeldPercent = 10;
constexpr size_t kLeastToHold = 200;

Dataset read_file_of(const json::object& task, const std::string& field, std::vector<std::string> labels) {
  try {
    return read_dataset(text_member_of(task, field), BadRows::kRefuse, std::move(labels));
  } catch (const nn::LineError& error) {
    throw TaskError({"invalid_" + field, fmt::format("line {}: {}", error.line(), error.reason()), field});
  } catch (const DataError& error) {
    // The owner of the job must not see the file's path on the server.
    std::string why = error.what();
    if (const std::string place = text_member_of(task, field) + ": "; why.starts_with(place))
      why.erase(0, place.size());
    throw TaskError({"invalid_" + field, why, field});
  }
}

void write_examples(const fs::path& file, const std::vector<nn::Example>& examples,
                    const std::vector<std::string>& labels) {
  std::string lines;
  for (const nn::Example& example : examples) {
    JsonWriter line;
    line.begin_object().member("label", labels[static_cast<size_t>(example.label)]).member("text", example.text);
    if (!example.source.empty()) line.member("source", example.source);
    line.end();
    lines += line.take() + "\n";
  }
  write_file_atomically(file, lines);
}

struct Texts {
  std::vector<std::string> labels;
  std::vector<nn::Example> train, held;
};

// Every label keeps texts to train on.
void hold_some(Texts& texts) {
  nn::Split split = nn::split_by_hash(std::move(texts.train), kHeldPercent);
  std::set<std::int32_t> trained;
  for (const nn::Example& example : split.train) trained.insert(example.label);
  texts.train = std::move(split.train);
  for (nn::Example& example : split.held) {
    (trained.contains(example.label) ? texts.held : texts.train).push_back(std::move(example));
  }
}

Texts read_texts(const json::object& task, const std::vector<std::string>& wanted_labels,
                 const std::vector<std::string>& base_labels) {
  Dataset data = read_file_of(task, "training_file", wanted_labels);
  const std::set<std::string> found(data.labels.begin(), data.labels.end());
  if (wanted_labels.empty() && data.labels != base_labels &&
      found == std::set<std::string>(base_labels.begin(), base_labels.end())) {
    data = read_file_of(task, "training_file", base_labels);
  }
  if (data.labels.size() < 2) {
    throw TaskError({"invalid_training_file", "all texts have one label; a classifier needs texts of at least two",
                     "training_file"});
  }
  const auto with_comma =
      std::ranges::find_if(data.labels, [](const std::string& label) { return label.find(',') != label.npos; });
  if (with_comma != data.labels.end()) {
    throw TaskError({"invalid_training_file",
                     fmt::format("the label '{}' has a comma, which labels cannot have; rename it", *with_comma),
                     "training_file"});
  }
  Texts texts{std::move(data.labels), std::move(data.examples), {}};
  if (task.contains("validation_file")) {
    texts.held = read_file_of(task, "validation_file", texts.labels).examples;
  } else if (texts.train.size() >= kLeastToHold) {
    hold_some(texts);
  }
  return texts;
}

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

// The options of the run, which are no members of TrainOptions.
constexpr std::array<std::string_view, 3> kRunOptions = {"eval_every", "early_stop", "checkpoint_every"};

// Data sets of jobs have one label a text.
bool is_of_other_problem(const optim::TrainOption& row) {
  constexpr std::array<std::string_view, 4> kNames = {"multi_label", "ordinal", "regression", "positive_weight"};
  return std::ranges::find(kNames, std::string_view(row.name)) != kNames.end();
}

std::string with_dashes(std::string_view name) {
  std::string text(name);
  std::ranges::replace(text, '_', '-');
  return text;
}

}  // namespace

const optim::TrainOption* requested_option(std::string_view name) {
  const std::string dashed = with_dashes(name);
  for (const optim::TrainOption& row : optim::train_option_table()) {
    if (!row.is_for(optim::OptionUse::classification)) continue;
    if (row.name != name && row.option_name() != dashed) continue;
    if (is_of_other_problem(row)) return nullptr;
    const bool names_folders = std::holds_alternative<fs::path optim::TrainOptions::*>(row.member) ||
                               std::holds_alternative<std::vector<fs::path> optim::TrainOptions::*>(row.member);
    return names_folders ? nullptr : &row;
  }
  return nullptr;
}

bool is_run_option(std::string_view name) { return std::ranges::find(kRunOptions, name) != kRunOptions.end(); }

std::vector<std::string> run_option_texts(std::string_view name, const json::value& value) {
  if (!value.is_int64() || value.get_int64() < 0) {
    throw ValueError(fmt::format("{}: must be a whole number of at least 0", name));
  }
  return {std::to_string(value.get_int64())};
}

std::vector<std::string> search_texts(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr) throw ValueError("search: must be an object such as {\"settings\": 4, \"epochs\": 1}");
  for (const auto& entry : *object) {
    if (entry.key() != "settings" && entry.key() != "epochs") {
      throw ValueError("search: has a member other than settings and epochs");
    }
  }
  const auto number = [&](std::string_view name, double usual, double low, double high) {
    const json::value* given = object->if_contains(name);
    const double found = given == nullptr ? usual : given->is_number() ? given->to_number<double>() : low - 1;
    if (!(found >= low && found <= high)) {
      throw ValueError(fmt::format("search: {} must be a number from {} to {}", name, low, high));
    }
    return found;
  };
  const double settings = number("settings", 4, 2, static_cast<double>(kSearchSettings.size()));
  if (std::trunc(settings) != settings) throw ValueError("search: settings must be a whole number");
  return {fmt::format("{}", settings), fmt::format("{}", number("epochs", 1, 0.01, 1000))};
}

std::vector<std::string> option_texts(const optim::TrainOption& option, const json::value& value) {
  const auto refuse = [&](const std::string& what) { throw ValueError(fmt::format("{}: {}", option.name, what)); };
  std::vector<std::string> texts;
  if (std::holds_alternative<std::vector<std::string> optim::TrainOptions::*>(option.member)) {
    if (!value.is_array()) refuse("must be a list of strings");
    for (const json::value& one : value.get_array()) {
      if (!one.is_string() || one.get_string().find(',') != json::string::npos) {
        refuse("must be a list of strings without commas");
      }
      texts.emplace_back(one.get_string());
    }
    return texts;
  }
  if (std::holds_alternative<DType optim::TrainOptions::*>(option.member)) {
    if (value != "f32" && value != "bf16") refuse("must be \"f32\" or \"bf16\"");
    return {std::string(value.get_string())};
  }
  if (!value.is_number()) refuse("must be a number");
  if (std::holds_alternative<double optim::TrainOptions::*>(option.member)) {
    const double number = value.to_number<double>();
    if (!option.range.contains(number)) refuse(fmt::format("is {}; it must be {}", number, option.range.text()));
    return {fmt::format("{}", number)};
  }
  const double number = value.to_number<double>();
  if (std::trunc(number) != number || std::abs(number) > optim::kMaxSteps) refuse("must be a whole number");
  const auto whole = static_cast<std::int64_t>(number);
  const bool natural = std::holds_alternative<std::uint64_t optim::TrainOptions::*>(option.member);
  if (natural ? whole < 0 : !option.range.contains(whole)) {
    refuse(fmt::format("is {}; it must be {}", whole, natural ? "at least 0" : option.range.text()));
  }
  return {std::to_string(whole)};
}

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
    if (begin.problem != nn::Problem::single_label) {
      throw TaskError({"invalid_model",
                       fmt::format("the model to begin with is a {} one, and jobs train one label for each text; train "
                                   "it with qing train --from",
                                   name_of(begin.problem)),
                       "model"});
    }
  }
  std::vector<std::string> wanted;
  if (const json::value* labels = options.if_contains("labels")) {
    wanted = json::value_to<std::vector<std::string>>(*labels);
  }
  json::object plan;
  const Texts texts = read_texts(task, wanted, begin.labels);
  write_examples(folder.path / "data.jsonl", texts.train, texts.labels);
  if (!texts.held.empty()) write_examples(folder.path / "dev.jsonl", texts.held, texts.labels);

  cli::Settings settings;
  add(settings, "data", {"data.jsonl"}, true, true);
  if (!texts.held.empty()) add(settings, "dev", {"dev.jsonl"}, true, true);
  add(settings, "dev-share", {"0"});
  add(settings, "labels", texts.labels, true, true);
  if (!base.empty()) add(settings, "from", {copy.string()}, true);
  add(settings, "seed", {std::to_string(task.at("seed").as_int64())});
  const AutoOptions chosen = auto_options(begin, texts.train.size(), begin.labels == texts.labels, options,
                                          task.at("hyperparameters").as_object());
  for (const auto& [name, value] : chosen.options) add(settings, name, {value});
  for (const auto& [name, values] : options) {
    if (name == "labels" || name == kSearchOption || name == kSlurmOption || name == kKubernetesOption ||
        chosen.options.contains(std::string(name)))
      continue;
    const optim::TrainOption* row = requested_option(name);
    add(settings, std::string(name), json::value_to<std::vector<std::string>>(values), row != nullptr && is_text(*row));
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
  write_file_atomically(folder.plan(), json::serialize(plan));
}

}  // namespace qing::serve
