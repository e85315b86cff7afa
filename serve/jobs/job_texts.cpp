#include "job_texts.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <qing/nn/data/similar_labels.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/shown_text.h>
#include <qing/serve/files/dataset.h>
#include <qing/serve/jobs/json_object_file.h>
#include <qing/serve/jobs/task_error.h>
#include <qing/serve/runs/training_labels.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace json = boost::json;
namespace {

constexpr double kHeldPercent = 10;
constexpr const char* kTrainingFile = "training_file";

[[noreturn]] void refuse(const std::string& why, const std::string& field = kTrainingFile) {
  throw TaskError({"invalid_" + field, why, field});
}

Dataset read_file_of(const json::object& task, const std::string& field, nn::DatasetOptions reading) {
  try {
    return read_dataset(text_member_of(task, field), BadRows::kRefuse, std::move(reading));
  } catch (const nn::LineError& error) {
    refuse(fmt::format("line {}: {}", error.line(), without_place(error.reason(), text_member_of(task, field))), field);
  } catch (const DataError& error) {
    // The owner of the job must not see the file's path on the server.
    refuse(without_place(error.what(), text_member_of(task, field)), field);
  }
}

// Every label keeps texts to train on.
void hold_some(JobTexts& texts) {
  nn::Split split = nn::split_by_hash(std::move(texts.train), kHeldPercent);
  std::set<std::int32_t> trained;
  for (const nn::Example& example : split.train) {
    const auto labels = nn::labels_of(example);
    trained.insert(labels.begin(), labels.end());
  }
  texts.train = std::move(split.train);
  for (nn::Example& example : split.held) {
    const bool may_go =
        std::ranges::all_of(nn::labels_of(example), [&](std::int32_t i) { return trained.contains(i); });
    (may_go ? texts.held : texts.train).push_back(std::move(example));
  }
}

void check_labels(const std::vector<std::string>& labels, const nn::DatasetOptions& reading) {
  const bool several = reading.problem == nn::Problem::multi_label;
  if (labels.empty()) refuse("no row has a label; a classifier needs texts with labels");
  if (labels.size() < 2 && !several) { refuse("all texts have one label; a classifier needs texts of at least two"); }
  // Several labels in a field that nothing has separated look like one label with commas.
  if (!several || reading.label_separator || !reading.label_columns.empty()) return;
  const auto with_comma =
      std::ranges::find_if(labels, [](const std::string& label) { return label.find(',') != label.npos; });
  if (with_comma == labels.end()) return;
  refuse(fmt::format("the label '{}' has a comma; say what separates labels with label_separator", *with_comma));
}

// The order of ordered labels that were learned.
std::vector<std::string> ordered(const std::vector<std::string>& labels) {
  if (!cli::are_numbers(labels)) {
    refuse(
        fmt::format("the labels {} are not all numbers, so their order is unknown; give them from the lowest to the "
                    "highest in labels",
                    fmt::join(labels, ", ")));
  }
  std::map<std::string, std::int64_t> found;
  for (const std::string& label : labels) found.emplace(label, 0);
  std::vector<std::string> joined;
  for (const auto& [label, rows] : nn::join_equal_numbers(found)) joined.push_back(label);
  cli::sort_by_number(joined);
  return joined;
}

// The labels of the model, or those of the file in their order.
std::vector<std::string> chosen_labels(const std::vector<std::string>& found, const std::vector<std::string>& base,
                                       nn::Problem problem) {
  if (problem == nn::Problem::regression) return base.empty() ? found : base;
  const bool known = std::ranges::all_of(
      found, [&](const std::string& label) { return nn::place_of_label(base, label, problem).has_value(); });
  if (known && !base.empty()) return base;
  return problem == nn::Problem::ordinal ? ordered(found) : found;
}

}  // namespace

JobTexts read_texts(const json::object& task, const nn::DatasetOptions& reading,
                    const std::vector<std::string>& base_labels) {
  nn::DatasetOptions known = reading;
  Dataset data = read_file_of(task, kTrainingFile, reading);
  if (reading.labels.empty()) {
    known.labels = chosen_labels(data.labels, base_labels, reading.problem);
    if (known.labels != data.labels) data = read_file_of(task, kTrainingFile, known);
  }
  if (reading.problem != nn::Problem::regression) check_labels(data.labels, reading);
  JobTexts texts{std::move(data.labels), std::move(data.examples), {}};
  if (task.contains("validation_file")) {
    known.labels = texts.labels;
    texts.held = read_file_of(task, "validation_file", known).examples;
  } else if (texts.train.size() >= kLeastToHold) {
    hold_some(texts);
  }
  return texts;
}

void write_examples(const std::filesystem::path& file, const std::vector<nn::Example>& examples,
                    const std::vector<std::string>& labels, nn::Problem problem) {
  std::string lines;
  for (const nn::Example& example : examples) {
    JsonWriter line;
    line.begin_object().key("label");
    if (problem == nn::Problem::multi_label) {
      line.begin_array();
      for (const std::int32_t label : example.labels) line.value(labels[static_cast<size_t>(label)]);
      line.end();
    } else if (problem == nn::Problem::regression) {
      line.value(fmt::format("{}", example.value));  // the shortest text of this number
    } else {
      line.value(labels[static_cast<size_t>(example.label)]);
    }
    line.member("text", example.text);
    if (!example.source.empty()) line.member("source", example.source);
    line.end();
    lines += line.take() + "\n";
  }
  write_file_atomically(file, lines);
}

}  // namespace qing::serve
