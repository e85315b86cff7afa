// What the tables of a training hold, for a look at them before training.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/serve/files/dataset.h>
#include <qing/serve/files/label_set_survey.h>

namespace qing::serve {

struct ColumnSurvey {
  std::string name;
  std::vector<std::string> examples;  ///< the first different values, at most 3, not empty
  int64_t empty = 0;                  ///< rows without a value
};

/// Two rows with one text and different labels.
struct Contradiction {
  size_t line, other_line;
  std::string label, other_label;
};

struct TableSurvey {
  static constexpr size_t kShown = 10;     ///< most errors and contradictions that are listed
  static constexpr size_t kLabels = 1000;  ///< most labels that are counted by name

  std::string file, written;  ///< the name, and how the table is written: "CSV separated by ';', Windows-1252"
  std::string text_column, label_column;   ///< as found; no label column: empty
  std::string missing_column;              ///< the label column that the user named and the file lacks
  std::vector<std::string> label_columns;  ///< of one label each; empty without them
  std::vector<ColumnSurvey> columns;
  int64_t rows = 0;                           ///< that can be read, with empty ones
  int64_t bad_rows = 0;                       ///< that cannot
  int64_t empty_rows = 0;                     ///< without a text
  int64_t unlabelled = 0;                     ///< with a text and without a label
  std::vector<RowError> errors;               ///< the first kShown bad rows
  std::map<std::string, int64_t> labels;      ///< rows by label, or by the field that holds several
  LabelSets sets = {};                        ///< of fields that hold several labels
  int64_t other_labels = 0;                   ///< rows with a label that is not among the first kLabels
  std::map<std::string, int64_t> languages;   ///< rows by language_by_script()
  DatasetReport::Lengths characters, tokens;  ///< of the texts; tokens only with a tokenizer
  int64_t duplicates = 0;                     ///< rows that repeat a text and its label
  int64_t contradictions = 0;                 ///< rows that repeat a text with another label
  std::vector<Contradiction> contradicting;   ///< the first kShown
  std::vector<uint64_t> texts;                ///< fingerprints of the different texts, sorted
};

/// Reads the table. `tokens_of` counts the tokens of a text; it may be empty. Needs memory for a fingerprint, a label
/// and a line of each different text. Errors of the whole file are those of nn::LabelledRowReader; bad rows are
/// counted.
TableSurvey survey_table(const std::filesystem::path& file, const nn::DatasetOptions& options,
                         const std::function<int64_t(std::string_view)>& tokens_of);

/// How many different texts both have.
int64_t shared_texts(const TableSurvey& a, const TableSurvey& b);

/// What a user should know before training on `train` and choosing by `dev`: one sentence each.
std::vector<std::string> survey_warnings(std::span<const TableSurvey> train, std::span<const TableSurvey> dev);

}  // namespace qing::serve
