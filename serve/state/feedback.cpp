#include "feedback.h"

#include <ctime>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/common/json_writer.h>

namespace qing::serve {
namespace {

nn::Problem problem_of(const std::string& name) { return nn::problem_named(name).value_or(nn::Problem::single_label); }

// Which feedback a query counts. `feedback` is the name of the table.
constexpr const char* kCounted =
    "(?1 = '' OR project = ?1) AND (?2 = '' OR model = ?2) AND (?3 = 0 OR version = ?3) "
    "AND created >= ?4 AND created < ?5";

void bind(Statement& row, const FeedbackQuery& query) {
  row.bind(1, query.project).bind(2, query.model).bind(3, query.version).bind(4, query.from).bind(5, query.until);
}

}  // namespace

std::string set_text(const std::vector<std::string>& labels) {
  JsonWriter json;
  json.begin_array();
  for (const std::string& label : labels) json.value(label);
  return json.end().take();
}

std::string number_text(double number) { return fmt::format("{}", number); }

std::string answer_json(const std::string& answer, nn::Problem problem) {
  if (problem == nn::Problem::multi_label || problem == nn::Problem::regression) return answer;
  JsonWriter json;
  return json.value(answer).take();
}

std::string training_row(const Feedback& feedback) {
  JsonWriter line;
  line.begin_object().member("text", feedback.text).key("label");
  line.raw(answer_json(feedback.label, feedback.problem)).member("source", "feedback").end();
  return line.take();
}

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
      "INSERT INTO feedback(id, project, model, version, request, item, answered, predicted, label, text, created, "
      "problem) VALUES('fb-' || lower(hex(randomblob(12))), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number, id");
  row.bind(1, feedback.project).bind(2, feedback.model).bind(3, feedback.version).bind(4, feedback.request);
  row.bind(5, feedback.index).bind(6, feedback.answered).bind(7, feedback.predicted).bind(8, feedback.label);
  row.bind(9, feedback.text).bind(10, feedback.created).bind(11, std::string(name_of(feedback.problem)));
  row.step();
  feedback.number = row.number(0);
  feedback.id = row.text(1);
  row.run();
  transaction.commit();
  return feedback;
}

std::vector<FeedbackTotal> FeedbackStore::totals(const FeedbackQuery& query) {
  // The labels of other kinds are no numbers: SQLite reads them as 0.
  Statement row = database_.prepare(fmt::format(
      "SELECT model, version, problem, count(*), sum(label = predicted), sum(text <> ''), "
      "avg(abs(CAST(label AS REAL) - CAST(predicted AS REAL))), "
      "avg((CAST(label AS REAL) - CAST(predicted AS REAL)) * (CAST(label AS REAL) - CAST(predicted AS REAL))) "
      "FROM feedback WHERE {} GROUP BY model, version, problem ORDER BY model, version, problem",
      kCounted));
  bind(row, query);
  std::vector<FeedbackTotal> totals;
  while (row.step()) {
    FeedbackTotal total{row.text(0),   row.number(1), problem_of(row.text(2)),
                        row.number(3), row.number(4), row.number(5)};
    if (total.problem == nn::Problem::regression) {
      total.absolute_error = nn::number_of(row.text(6)).value_or(0);
      total.squared_error = nn::number_of(row.text(7)).value_or(0);
    }
    totals.push_back(std::move(total));
  }
  return totals;
}

std::vector<FeedbackCount> FeedbackStore::counts(const FeedbackQuery& query) {
  // Each label of an answer, right and predicted ones: those of a multi-label model are JSON lists.
  Statement row = database_.prepare(
      fmt::format("WITH lists AS (SELECT model, version, "
                  "CASE problem WHEN 'multi-label' THEN label ELSE json_array(label) END AS rights, "
                  "CASE problem WHEN 'multi-label' THEN predicted ELSE json_array(predicted) END AS given "
                  "FROM feedback WHERE {} AND problem <> 'regression') "
                  "SELECT model, version, name, sum(is_right), sum(is_both), sum(is_given) FROM ("
                  "SELECT model, version, r.value AS name, 1 AS is_right, "
                  "EXISTS(SELECT 1 FROM json_each(given) g WHERE g.value = r.value) AS is_both, 0 AS is_given "
                  "FROM lists, json_each(rights) r "
                  "UNION ALL SELECT model, version, g.value, 0, 0, 1 FROM lists, json_each(given) g) "
                  "GROUP BY model, version, name ORDER BY model, version, name",
                  kCounted));
  bind(row, query);
  std::vector<FeedbackCount> counts;
  while (row.step()) {
    counts.push_back({row.text(0), row.number(1), row.text(2), row.number(3), row.number(4), row.number(5)});
  }
  return counts;
}

std::vector<Feedback> FeedbackStore::kept(const std::string& project, const std::string& model, std::int64_t after,
                                          std::int64_t most) {
  Statement row = database_.prepare(
      "SELECT id, project, model, version, request, item, answered, predicted, label, text, created, number, "
      "problem FROM feedback WHERE project = ? AND model = ? AND number > ? AND text <> '' ORDER BY number LIMIT ?");
  row.bind(1, project).bind(2, model).bind(3, after).bind(4, most);
  std::vector<Feedback> all;
  while (row.step()) {
    all.push_back({row.text(0), row.text(1), row.text(2), row.number(3), row.text(4), row.number(5), row.number(6),
                   row.text(7), row.text(8), row.text(9), row.number(10), row.number(11), problem_of(row.text(12))});
  }
  return all;
}

}  // namespace qing::serve
