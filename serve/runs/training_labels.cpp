#include <qing/serve/runs/training_labels.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json.hpp>
#include <functional>
#include <iterator>
#include <map>
#include <set>

#include <qing/nn/data/label_map.h>
#include <qing/nn/data/label_sets.h>
#include <qing/nn/data/learned_labels.h>
#include <qing/nn/data/similar_labels.h>
#include <qing/nn/models/classifier_config.h>
#include <qing/nn/unique_keys.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;

double number_in(const std::string& label) { return *nn::number_of(label); }

// The labels of a classifier with the same kind of scores. None of a folder without a classification head, such as a
// masked language model's.
std::vector<std::string> labels_of_model(const fs::path& folder, nn::Problem problem) {
  if (folder.empty()) return {};
  const boost::json::value json = nn::parse_file_json(read_file(folder / "config.json"));
  if (!json.is_object() || !json.get_object().contains("id2label")) return {};
  const nn::ClassifierConfig config = nn::ClassifierConfig::load_for_fine_tuning(folder / "config.json");
  return nn::same_scores(config.problem, problem) ? config.labels : std::vector<std::string>();
}

void check_learned(const std::map<std::string, int64_t>& counts, const std::string& file,
                   const nn::DatasetOptions& reading) {
  const bool several = reading.problem == nn::Problem::multi_label;
  if (several && counts.empty()) {
    throw DataError(fmt::format("{}: no row has a label; a classifier needs texts with labels", file));
  }
  if (counts.size() < 2 && !several) {
    throw DataError(fmt::format(
        "{}: {}; a classifier needs texts of at least two labels", file,
        counts.empty() ? "there are no rows" : fmt::format("all texts have the label '{}'", counts.begin()->first)));
  }
  // Several labels in a field that nothing has separated look like one label with commas.
  if (!several || reading.label_separator != 0 || !reading.label_columns.empty()) return;
  for (const auto& [label, count] : counts) {
    if (label.find(',') == label.npos) continue;
    throw DataError(
        fmt::format("{}: the label '{}' has a comma; say what separates labels with --label-separator, or give "
                    "--label-columns",
                    file, label));
  }
}

// The labels of columns in the order of the columns, and then the others. A pipe cannot be read again.
std::vector<std::string> ordered(std::span<const fs::path> data, const nn::DatasetOptions& reading,
                                 const std::map<std::string, int64_t>& counts) {
  std::vector<std::string> labels;
  if (std::ranges::all_of(data, [](const fs::path& file) { return fs::is_regular_file(file); })) {
    labels = nn::labels_of_columns(data, reading);
  }
  std::map<std::string, int64_t> others = counts;
  for (const std::string& label : labels) others.erase(label);
  std::ranges::copy(nn::in_order(others), std::back_inserter(labels));
  return labels;
}

// nn::learn_labels(). Where it fails and the labels look like several in a field, the error proposes to learn them so.
std::map<std::string, int64_t> learned(std::span<const fs::path> data, const nn::DatasetOptions& reading) {
  try {
    return nn::learn_labels(data, reading);
  } catch (const nn::LineError& error) {
    if (reading.problem != nn::Problem::single_label) throw;
    nn::DatasetOptions lenient = reading;
    lenient.on_bad_row = [](const nn::LineError&) {};
    std::optional<std::string> example;
    try {
      example = nn::looks_like_label_sets(nn::learn_labels(data, lenient));
    } catch (const Error&) {}  // the first error counts
    if (!example) throw;
    throw DataError(
        fmt::format("{}. Other rows seem to have several labels, such as '{}': --multi-label 1 learns any "
                    "number of labels, or none",
                    error.what(), *example));
  }
}

// What single labels may be instead.
std::vector<std::string> doubts_of(const std::map<std::string, int64_t>& counts) {
  std::vector<std::string> doubts = nn::doubtful_labels(counts);
  if (const auto example = nn::looks_like_label_sets(counts)) {
    doubts.push_back(fmt::format("'{}' is taken for one label; if it is several, add --multi-label 1", *example));
  }
  return doubts;
}

std::string counted(const std::vector<std::string>& labels, const std::map<std::string, int64_t>& counts) {
  std::vector<std::string> parts;
  for (const std::string& label : labels) {
    const auto found = counts.find(label);
    parts.push_back(fmt::format("{} ({})", label, found == counts.end() ? 0 : found->second));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string about_head(const fs::path& from, const std::vector<std::string>& of_model,
                       const std::vector<std::string>& labels) {
  if (of_model.empty()) return fmt::format("{} has no classification head; a new one begins", from.string());
  if (of_model == labels) return fmt::format("the classification head of {} is kept", from.string());
  const std::set<std::string> names(labels.begin(), labels.end());
  const std::string proposed = nn::proposed_map(names, of_model);
  return fmt::format("the labels of {} are {}; a new classification head begins for {}{}", from.string(),
                     fmt::join(of_model, ", "), fmt::join(labels, ", "),
                     proposed.empty() ? "" : ". To keep its head, add " + proposed);
}

}  // namespace

TrainingLabels choose_labels(std::span<const fs::path> data, const nn::DatasetOptions& reading,
                             const std::vector<std::string>& given, const fs::path& from) {
  const std::vector<std::string> of_model = labels_of_model(from, reading.problem);
  TrainingLabels chosen{given, {}};
  if (given.empty() && reading.problem == nn::Problem::regression) {
    chosen.labels = of_model.empty() ? std::vector<std::string>{"value"} : of_model;
  } else if (given.empty()) {
    std::map<std::string, int64_t> counts = learned(data, reading);
    if (reading.problem == nn::Problem::ordinal) counts = nn::join_equal_numbers(counts);
    const bool all_known = std::ranges::all_of(counts, [&](const auto& entry) {
      return nn::place_of_label(of_model, entry.first, reading.problem).has_value();
    });
    if (!all_known || of_model.empty()) check_learned(counts, data.front().string(), reading);
    chosen.labels = all_known && !of_model.empty() ? of_model : ordered(data, reading, counts);
    chosen.told.push_back("labels of the data: " + counted(chosen.labels, counts));
    if (reading.problem == nn::Problem::single_label) {
      for (const std::string& doubt : doubts_of(counts)) chosen.told.push_back("qing: warning: " + doubt);
    }
  }
  if (!from.empty()) chosen.told.push_back(about_head(from, of_model, chosen.labels));
  return chosen;
}

bool are_numbers(std::span<const std::string> labels) {
  return std::ranges::all_of(labels, [](const std::string& label) { return nn::number_of(label).has_value(); });
}

bool ascend(std::span<const std::string> labels) {
  return std::ranges::adjacent_find(labels, std::ranges::greater_equal(), number_in) == labels.end();
}

void sort_by_number(std::vector<std::string>& labels) { std::ranges::stable_sort(labels, {}, number_in); }

}  // namespace qing::serve::cli
