// The scores of one dev set in one evaluation, of a model of any task.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qing::serve::cli {

struct SetScores {
  std::string name;  ///< of the dev set
  /// The measure that chooses the best model. Greater is better: a loss gets a minus.
  double score = 0;
  /// All measures, as metrics.jsonl and the card have them: {"f1", 0.91}.
  std::vector<std::pair<std::string, double>> values;
  std::string text;  ///< as the terminal shows them: "F1 0.9100, precision 0.9000, recall 0.9200 (3250 sentences)"
};

/// The value of a measure that is among the set's. 0 for another name.
inline double value_of(const SetScores& set, std::string_view name) {
  for (const auto& [one, value] : set.values) {
    if (one == name) return value;
  }
  return 0;
}

}  // namespace qing::serve::cli
