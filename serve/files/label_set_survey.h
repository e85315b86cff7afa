// Whether the fields of a column hold several labels, and which.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <qing/nn/data/label_sets.h>
#include <qing/nn/data/labelled_rows.h>

namespace qing::serve {

/// Labels of rows with several, by the number of rows; empty when each row has one label.
struct LabelSets {
  std::map<std::string, int64_t> labels = {};
  std::map<int64_t, int64_t> sizes = {};  ///< rows by their number of labels
  char separator = 0;                     ///< between labels; 0: rows are lists
  std::string example = {};               ///< a field with several
};

/// Counts in bounded memory what the labels would be with each separator. Not thread-safe.
class LabelSetSurvey {
 public:
  /// `separator` is the one that the user names; 0: any of nn::kLabelSeparators.
  explicit LabelSetSurvey(char separator = 0);
  /// A row that was read with RowOptions::several_labels, and the format that it has.
  void add(const nn::LabelledRow& row, nn::LabelledFormat format);
  LabelSets of_lists() const;  ///< Of rows that are lists, also when none has several labels.
  /// `fields` are rows by field, and `different` is how many fields there are, also those that are not in it. A
  /// separator that the user named need only occur.
  LabelSets found(const std::map<std::string, int64_t>& fields, int64_t different) const;

 private:
  struct Reading {
    char separator;
    std::map<std::string, int64_t> labels = {};
    std::map<int64_t, int64_t> sizes = {};
    std::string example = {};  // a field with the separator
  };
  std::vector<Reading> readings_;  // by separator
  bool named_;                     // the separator, by the user
  bool lists_ = false;             // some list, or line of fastText, has several labels
  std::string list_example_;       // the first of them
};

}  // namespace qing::serve
