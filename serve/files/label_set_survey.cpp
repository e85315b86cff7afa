#include "label_set_survey.h"

#include <algorithm>
#include <optional>

#include <qing/nn/data/label_sets.h>

namespace qing::serve {

LabelSetSurvey::LabelSetSurvey(char separator) : named_(separator != 0) {
  if (named_) {
    readings_.push_back({.separator = separator});
  } else {
    for (const char one : nn::kLabelSeparators) readings_.push_back({.separator = one});
  }
}

void LabelSetSurvey::add(const nn::LabelledRow& row, nn::LabelledFormat format) {
  constexpr size_t kMostLabels = 1000;
  const bool is_list = row.is_list || format == nn::LabelledFormat::fasttext;
  if (is_list && row.labels.size() > 1 && !lists_) {
    lists_ = true;
    list_example_ = nn::joined_labels(row.labels);
  }
  for (Reading& reading : readings_) {
    const std::vector<std::string> labels = is_list ? row.labels : nn::split_labels(row.label, reading.separator);
    for (const std::string& label : labels) {
      const auto found = reading.labels.find(label);
      if (found != reading.labels.end()) {
        ++found->second;
      } else if (reading.labels.size() < kMostLabels) {
        reading.labels.emplace(label, 1);
      }
    }
    ++reading.sizes[static_cast<int64_t>(labels.size())];
    if (!is_list && labels.size() > 1 && reading.example.empty()) reading.example = row.label;
  }
}

LabelSets LabelSetSurvey::of_lists() const {
  return {.labels = readings_.front().labels, .sizes = readings_.front().sizes, .example = list_example_};
}

LabelSets LabelSetSurvey::found(const std::map<std::string, int64_t>& fields, int64_t different) const {
  // The first separator that occurs is the one that a training takes.
  const auto found = std::ranges::find_if(readings_, [](const Reading& one) { return !one.example.empty(); });
  const bool separated = found != readings_.end();
  const Reading& reading = separated ? *found : readings_.front();
  const auto repeats = [](const auto& part) { return part.second > 1; };
  const bool fewer =
      separated && std::ssize(reading.labels) < different && std::ranges::all_of(reading.labels, repeats);
  if (!lists_ && !fewer && !(separated && (named_ || nn::looks_like_label_sets(fields)))) return {};
  return {.labels = reading.labels,
          .sizes = reading.sizes,
          .separator = separated ? reading.separator : '\0',
          .example = separated ? reading.example : list_example_};
}

}  // namespace qing::serve
