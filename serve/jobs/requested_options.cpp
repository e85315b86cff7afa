#include "requested_options.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <qing/nn/text/normalizer.h>
#include <qing/optim/classifier/problem_loss.h>
#include <qing/optim/classifier/train_options.h>
#include <qing/serve/jobs/setting_search.h>
#include <qing/serve/runs/dev_scores.h>
#include <qing/serve/runs/training_labels.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace json = boost::json;
namespace {

constexpr std::string_view kMeasure = "best";
// The options of the run, which are no members of TrainOptions.
constexpr std::array<std::string_view, 4> kRunOptions = {"eval_every", "early_stop", "checkpoint_every", kMeasure};
constexpr std::string_view kSeparatorOption = "label_separator", kColumnsOption = "label_columns";
constexpr std::array<std::string_view, 4> kFileOptions = {"text_column", "label_column", kSeparatorOption,
                                                          kColumnsOption};
constexpr std::array<const char*, 3> kProblemFlags = {"multi-label", "ordinal", "regression"};

std::string with_dashes(std::string_view name) {
  std::string text(name);
  std::ranges::replace(text, '_', '-');
  return text;
}

std::string with_underscores(std::string_view name) {
  std::string text(name);
  std::ranges::replace(text, '-', '_');
  return text;
}

std::vector<std::string> texts_in(const json::object& options, std::string_view name) {
  const json::value* texts = options.if_contains(name);
  return texts == nullptr ? std::vector<std::string>() : json::value_to<std::vector<std::string>>(*texts);
}

// The numbers and labels among the options, which were checked one by one.
optim::TrainOptions given_options(const json::object& options) {
  optim::TrainOptions given;
  for (const optim::TrainOption& row : optim::train_option_table()) {
    const std::vector<std::string> texts = texts_in(options, row.option_name());
    if (texts.empty() || !row.is_for(optim::OptionUse::classification)) continue;
    if (const auto* whole = std::get_if<std::int64_t optim::TrainOptions::*>(&row.member)) {
      given.*(*whole) = std::stoll(texts.front());
    } else if (const auto* number = std::get_if<double optim::TrainOptions::*>(&row.member)) {
      given.*(*number) = std::stod(texts.front());
    } else if (const auto* list = std::get_if<std::vector<std::string> optim::TrainOptions::*>(&row.member)) {
      given.*(*list) = texts;
    }
  }
  return given;
}

// "train_classifier: the option balance does not fit ..." as a request knows the option: "balance: does not fit ..."
std::string without_operation(const std::string& error) {
  constexpr std::string_view kPhrase = ": the option ";
  const size_t phrase = error.find(kPhrase), begin = phrase + kPhrase.size();
  const size_t end = phrase == error.npos ? error.npos : error.find(' ', begin);
  if (end == error.npos) return error;
  const std::string name = error.substr(begin, end - begin);
  const optim::TrainOption* row = requested_option(name);
  return fmt::format("{}: {}", row != nullptr ? with_underscores(row->option_name()) : name, error.substr(end + 1));
}

}  // namespace

const optim::TrainOption* requested_option(std::string_view name) {
  const std::string dashed = with_dashes(name);
  for (const optim::TrainOption& row : optim::train_option_table()) {
    if (!row.is_for(optim::OptionUse::classification)) continue;
    if (row.name != name && row.option_name() != dashed) continue;
    const bool names_folders = std::holds_alternative<fs::path optim::TrainOptions::*>(row.member) ||
                               std::holds_alternative<std::vector<fs::path> optim::TrainOptions::*>(row.member);
    return names_folders ? nullptr : &row;
  }
  return nullptr;
}

bool is_run_option(std::string_view name) { return std::ranges::find(kRunOptions, name) != kRunOptions.end(); }

std::vector<std::string> run_option_texts(std::string_view name, const json::value& value) {
  if (name == kMeasure) {
    const std::vector<std::string> names = cli::measure_names();
    const json::string* text = value.if_string();
    if (text == nullptr || std::ranges::count(names, std::string(*text)) == 0) {
      throw ValueError(fmt::format("best: must be one of {}", fmt::join(names, ", ")));
    }
    return {std::string(*text)};
  }
  if (!value.is_int64() || value.get_int64() < 0) {
    throw ValueError(fmt::format("{}: must be a whole number of at least 0", name));
  }
  return {std::to_string(value.get_int64())};
}

bool is_file_option(std::string_view name) { return std::ranges::find(kFileOptions, name) != kFileOptions.end(); }

std::vector<std::string> file_option_texts(std::string_view name, const json::value& value) {
  const auto name_in = [&](const json::value& one) {
    const json::string* text = one.if_string();
    if (text == nullptr || nn::is_blank(*text)) throw ValueError(fmt::format("{}: must be the name of a column", name));
    return std::string(*text);
  };
  if (name == kSeparatorOption) {
    const json::string* text = value.if_string();
    const char sign = text != nullptr && text->size() == 1 ? text->front() : '\0';
    if (sign <= ' ' || sign == '"') throw ValueError(fmt::format("{}: must be one ASCII sign, such as |", name));
    return {std::string(1, sign)};
  }
  if (name != kColumnsOption) return {name_in(value)};
  if (!value.is_array() || value.get_array().empty()) {
    throw ValueError(fmt::format("{}: must be a list of names of columns", name));
  }
  std::vector<std::string> columns;
  for (const json::value& one : value.get_array()) {
    columns.push_back(name_in(one));
    if (std::ranges::count(columns, columns.back()) > 1) {
      throw ValueError(fmt::format("{}: '{}' is given twice; give each name once", name, columns.back()));
    }
  }
  return columns;
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
      if (!one.is_string()) refuse("must be a list of strings");
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

nn::Problem problem_of(const json::object& options, nn::Problem of_base) {
  const optim::TrainOptions given = given_options(options);
  if (given.problem() != nn::Problem::single_label) return given.problem();
  const bool says = std::ranges::any_of(kProblemFlags, [&](const char* flag) { return options.contains(flag); });
  if (says) return nn::Problem::single_label;
  return options.contains("label-columns") ? nn::Problem::multi_label : of_base;
}

nn::DatasetOptions reading_of(const json::object& options, nn::Problem of_base) {
  nn::DatasetOptions reading;
  reading.labels = texts_in(options, "labels");
  reading.problem = problem_of(options, of_base);
  reading.label_columns = texts_in(options, "label-columns");
  for (const auto& [name, column] :
       {std::pair("text-column", &reading.text_column), std::pair("label-column", &reading.label_column)}) {
    if (options.contains(name)) *column = texts_in(options, name).front();
  }
  if (options.contains("label-separator")) reading.label_separator = texts_in(options, "label-separator")[0][0];
  return reading;
}

void check_together(const json::object& options, nn::Problem of_base) {
  optim::TrainOptions given = given_options(options);
  if (given.multi_label + given.ordinal + given.regression > 1) {
    throw ValueError("multi_label: excludes ordinal and regression, which exclude each other; give one of them");
  }
  const nn::Problem problem = problem_of(options, of_base);
  given.multi_label = problem == nn::Problem::multi_label ? 1 : 0;
  given.ordinal = problem == nn::Problem::ordinal ? 1 : 0;
  given.regression = problem == nn::Problem::regression ? 1 : 0;
  try {
    optim::check_problem(given);
  } catch (const ValueError& error) { throw ValueError(without_operation(error.what())); }
  for (const char* name : {"label-columns", "label-separator"}) {
    if (!options.contains(name) || problem == nn::Problem::multi_label) continue;
    throw ValueError(
        fmt::format("{}: is for several labels, and this is {} training; give multi_label as 1, or leave "
                    "it out",
                    with_underscores(name), name_of(problem)));
  }
  if (options.contains("label-columns")) {
    for (const char* other : {"label-column", "label-separator"}) {
      if (!options.contains(other)) continue;
      throw ValueError(fmt::format("{}: the labels are in label_columns; leave it out", with_underscores(other)));
    }
  }
  if (options.contains(kMeasure)) {
    const std::string best = texts_in(options, kMeasure).front();
    const std::vector<cli::Measure> measures = cli::measures_of(problem);
    if (std::ranges::find(measures, best, &cli::Measure::name) == measures.end()) {
      std::vector<std::string_view> names;
      names.reserve(measures.size());
      for (const cli::Measure& measure : measures) names.push_back(measure.name);
      throw ValueError(fmt::format("best: {} training has no measure {}; give one of {}", name_of(problem), best,
                                   fmt::join(names, ", ")));
    }
  }
  if (problem == nn::Problem::regression && given.labels.size() > 1 && options.contains("labels")) {
    throw ValueError("labels: a number has one name; give one, or leave it out");
  }
  if (problem == nn::Problem::ordinal && cli::are_numbers(given.labels) && !cli::ascend(given.labels)) {
    throw ValueError("labels: ordered labels that are numbers must ascend; give them from the lowest to the highest");
  }
}

}  // namespace qing::serve
