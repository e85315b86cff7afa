#include "label_kind.h"

#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <qing/nn/data/learned_labels.h>
#include <qing/serve/files/label_set_survey.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

constexpr int kRows = 10'000;

// What the first rows say about the labels.
struct FirstLabels {
  std::map<std::string, std::int64_t> counts = {};  // of whole fields
  LabelSetSurvey sets{};
  bool numbers = true, fractions = false;

  void add(const nn::LabelledRow& row, nn::LabelledFormat format) {
    sets.add(row, format);
    if (row.label.empty() && row.labels.empty()) return;
    if (counts.size() <= nn::kMostLearnedLabels) ++counts[row.label];
    const std::optional<double> number = nn::number_of(row.label);
    numbers = numbers && number;
    fractions = fractions || (number && *number != std::trunc(*number));
  }
  bool are_numbers() const {
    return numbers && !counts.empty() && (fractions || counts.size() > nn::kMostLearnedLabels);
  }
};

}  // namespace

nn::RowOptions look_at_labels(const std::filesystem::path& file, nn::Problem& problem) {
  problem = nn::Problem::single_label;
  nn::RowOptions reading;
  reading.needs_text = false;
  reading.several_labels = true;
  reading.label_separator = nn::kLabelSeparators.front();  // the survey reads the fields with each
  FirstLabels first;
  try {
    nn::LabelledRowReader reader(file, reading);
    if (reader.label_columns().empty()) {
      for (int i = 0; i < kRows; ++i) {
        try {
          const std::optional<nn::LabelledRow> row = reader.next();
          if (!row) break;
          first.add(*row, reader.format());
        } catch (const nn::LineError&) {}  // the report lists it
      }
    } else {
      problem = nn::Problem::multi_label;
      return {.several_labels = true, .label_columns = reader.label_columns()};
    }
  } catch (const DataError&) { return {}; }
  if (first.are_numbers()) {
    problem = nn::Problem::regression;
    return {};
  }
  const LabelSets sets = first.sets.found(first.counts, std::ssize(first.counts));
  if (sets.labels.empty()) return {};
  problem = nn::Problem::multi_label;
  return {.several_labels = true,
          .label_separator = sets.separator == 0 ? nn::kLabelSeparators.front() : sets.separator,
          .guesses_label_columns = false};
}

}  // namespace qing::serve
