// Feedback: the right labels of answered texts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <qing/serve/common/database.h>

namespace qing::serve {

struct Feedback {
  std::string id = {};  ///< "fb-" and 24 hexadecimal digits
  std::string project = {}, model = {};
  std::int64_t version = 0;
  std::string request = {};    ///< id of the answered request
  std::int64_t index = 0;      ///< of the text in the request
  std::int64_t answered = 0;   ///< LoggedAnswer::answered
  std::string predicted = {};  ///< label that the model gave
  std::string label = {};      ///< label that is right
  std::string text = {};       ///< empty unless its owner wants it kept
  std::int64_t created = 0;    ///< seconds since 1970 (UTC)
  std::int64_t number = 0;     ///< grows
};

struct FeedbackCount {
  std::string model = {};
  std::int64_t version = 0;
  std::string label = {};                        ///< the right one
  std::int64_t total = 0, agreed = 0, kept = 0;  ///< all, with that label predicted, with a text
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
  /// Sorted by model, version and label.
  std::vector<FeedbackCount> counts(const FeedbackQuery& query);
  /// Feedback with a text for one model, after the one of that number; the oldest first. At most `most`.
  std::vector<Feedback> kept(const std::string& project, const std::string& model, std::int64_t after,
                             std::int64_t most);

 private:
  Database& database_;
};

}  // namespace qing::serve
