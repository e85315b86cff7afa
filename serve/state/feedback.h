// Feedback: the right labels, or numbers, of answered texts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <qing/nn/problem.h>
#include <qing/serve/common/database.h>

namespace qing::serve {

struct Feedback {
  std::string id = {};  ///< "fb-" and 24 hexadecimal digits
  std::string project = {}, model = {};
  std::int64_t version = 0;
  std::string request = {};   ///< id of the answered request
  std::int64_t index = 0;     ///< of the text in the request
  std::int64_t answered = 0;  ///< LoggedAnswer::answered
  /// What the model gave, and what is right: a label; of a multi-label model a JSON list of labels in the model's
  /// order; of a regression the shortest decimal text of a number.
  std::string predicted = {}, label = {};
  std::string text = {};                            ///< empty unless its owner wants it kept
  std::int64_t created = 0;                         ///< seconds since 1970 (UTC)
  std::int64_t number = 0;                          ///< grows
  nn::Problem problem = nn::Problem::single_label;  ///< of the model
};

/// A set of labels as Feedback has it.
std::string set_text(const std::vector<std::string>& labels);
/// A number as Feedback has it.
std::string number_text(double number);
/// The label, the list of labels or the number as JSON.
std::string answer_json(const std::string& answer, nn::Problem problem);
/// One line of JSON from which `qing train` reads the text with its right answer, without a line break.
std::string training_row(const Feedback& feedback);

/// Feedback on one version.
struct FeedbackTotal {
  std::string model = {};
  std::int64_t version = 0;
  nn::Problem problem = nn::Problem::single_label;
  /// All; with the right label, set of labels or number predicted; with a text.
  std::int64_t total = 0, agreed = 0, kept = 0;
  double absolute_error = 0, squared_error = 0;  ///< of numbers: means
};

/// Feedback on one label of a version.
struct FeedbackCount {
  std::string model = {};
  std::int64_t version = 0;
  std::string label = {};  ///< a right one
  /// Texts with the label; of these, those for which it was predicted; of all texts, those for which it was predicted.
  std::int64_t total = 0, agreed = 0, predicted = 0;
};

struct FeedbackQuery {
  std::string project = {};                  ///< empty: all
  std::string model = {};                    ///< empty: all
  std::int64_t version = 0;                  ///< 0: all
  std::int64_t from = 0, until = INT64_MAX;  ///< of `created`; the end is excluded
};

/// For one thread, as its Database is. All functions throw IoError.
class FeedbackStore {
 public:
  explicit FeedbackStore(Database& database) : database_(database) {}

  /// Stores it, with an id, a number and the time. Feedback on the same text of the same answer replaces the former.
  Feedback add(Feedback feedback);
  /// Sorted by model and version. A version whose model was of another kind before has a total for each.
  std::vector<FeedbackTotal> totals(const FeedbackQuery& query);
  /// Sorted by model, version and label. None of numbers.
  std::vector<FeedbackCount> counts(const FeedbackQuery& query);
  /// Feedback with a text for one model, after the one of that number; the oldest first. At most `most`.
  std::vector<Feedback> kept(const std::string& project, const std::string& model, std::int64_t after,
                             std::int64_t most);

 private:
  Database& database_;
};

}  // namespace qing::serve
