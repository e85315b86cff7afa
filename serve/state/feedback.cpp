#include "feedback.h"

#include <ctime>
#include <utility>

namespace qing::serve {

Feedback FeedbackStore::add(Feedback feedback) {
  feedback.created = static_cast<std::int64_t>(std::time(nullptr));
  Transaction transaction(database_);
  database_.prepare("DELETE FROM feedback WHERE project = ? AND request = ? AND item = ? AND answered = ?")
      .bind(1, feedback.project)
      .bind(2, feedback.request)
      .bind(3, feedback.index)
      .bind(4, feedback.answered)
      .run();
  Statement row = database_.prepare(
      "INSERT INTO feedback(id, project, model, version, request, item, answered, predicted, label, text, created) "
      "VALUES('fb-' || lower(hex(randomblob(12))), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number, id");
  row.bind(1, feedback.project).bind(2, feedback.model).bind(3, feedback.version).bind(4, feedback.request);
  row.bind(5, feedback.index).bind(6, feedback.answered).bind(7, feedback.predicted).bind(8, feedback.label);
  row.bind(9, feedback.text).bind(10, feedback.created);
  row.step();
  feedback.number = row.number(0);
  feedback.id = row.text(1);
  row.run();
  transaction.commit();
  return feedback;
}

std::vector<FeedbackCount> FeedbackStore::counts(const FeedbackQuery& query) {
  Statement row = database_.prepare(
      "SELECT model, version, label, count(*), sum(label = predicted), sum(text <> '') FROM feedback "
      "WHERE (?1 = '' OR project = ?1) AND (?2 = '' OR model = ?2) AND (?3 = 0 OR version = ?3) "
      "AND created >= ?4 AND created < ?5 GROUP BY model, version, label ORDER BY model, version, label");
  row.bind(1, query.project).bind(2, query.model).bind(3, query.version).bind(4, query.from).bind(5, query.until);
  std::vector<FeedbackCount> counts;
  while (row.step()) {
    counts.push_back({row.text(0), row.number(1), row.text(2), row.number(3), row.number(4), row.number(5)});
  }
  return counts;
}

std::vector<Feedback> FeedbackStore::kept(const std::string& project, const std::string& model, std::int64_t after,
                                          std::int64_t most) {
  Statement row = database_.prepare(
      "SELECT id, project, model, version, request, item, answered, predicted, label, text, created, number "
      "FROM feedback WHERE project = ? AND model = ? AND number > ? AND text <> '' ORDER BY number LIMIT ?");
  row.bind(1, project).bind(2, model).bind(3, after).bind(4, most);
  std::vector<Feedback> all;
  while (row.step()) {
    all.push_back({row.text(0), row.text(1), row.text(2), row.number(3), row.text(4), row.number(5), row.number(6),
                   row.text(7), row.text(8), row.text(9), row.number(10), row.number(11)});
  }
  return all;
}

}  // namespace qing::serve
