#include "promotion_store.h"

#include <ctime>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/serve/state/audit.h>

namespace qing::serve {
namespace json = boost::json;
namespace {

std::string list_text(const std::vector<std::string>& texts) {
  json::array list;
  for (const std::string& text : texts) list.emplace_back(text);
  return json::serialize(list);
}

std::vector<std::string> list_of(const std::string& text) {
  std::vector<std::string> texts;
  const json::value parsed = json::parse(text);
  for (const json::value& value : parsed.as_array()) texts.emplace_back(value.as_string());
  return texts;
}

std::int64_t seconds_of_promotion() { return static_cast<std::int64_t>(std::time(nullptr)); }

}  // namespace

void PromotionStore::add(const Promotion& promotion) {
  database_
      .prepare(
          "INSERT INTO promotions(model, version, source, source_version, key, project, reasons, comparison, "
          "created) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .bind_all(promotion.model, promotion.version, promotion.source, promotion.source_version, promotion.key,
                promotion.project, list_text(promotion.reasons), promotion.comparison, seconds_of_promotion())
      .run();
}

void PromotionStore::withdraw(const std::string& model, std::int64_t version, const std::string& reason) {
  Transaction transaction(database_);
  Statement row = database_.prepare(
      "UPDATE promotions SET version = 0, reasons = ? WHERE model = ? AND version = ? RETURNING key, project");
  row.bind_all(list_text({reason}), model, version);
  if (!row.step()) return;
  const AuditEntry entry{.key = row.text(0),
                         .project = row.text(1),
                         .action = "model.withdraw_version",
                         .object = model,
                         .detail = fmt::format("version {}: {}", version, reason)};
  row.run();
  record(database_, entry);
  transaction.commit();
}

std::vector<Promotion> PromotionStore::of(const std::string& model, std::int64_t most) {
  Statement row = database_.prepare(
      "SELECT number, model, version, source, source_version, key, project, reasons, comparison, created "
      "FROM promotions WHERE model = ? ORDER BY number DESC LIMIT ?");
  row.bind_all(model, most);
  std::vector<Promotion> all;
  while (row.step()) {
    all.push_back({row.number(0), row.text(1), row.number(2), row.text(3), row.number(4), row.text(5), row.text(6),
                   list_of(row.text(7)), row.text(8), row.number(9)});
  }
  return all;
}

std::optional<EvaluationSet> PromotionStore::evaluation_set(const std::string& model) {
  Statement row = database_.prepare("SELECT location, sha256, project FROM evaluation_sets WHERE model = ?");
  row.bind(1, model);
  if (!row.step()) return std::nullopt;
  return EvaluationSet{row.text(0), row.text(1), row.text(2)};
}

void PromotionStore::set_evaluation_set(const std::string& model, const EvaluationSet& set) {
  database_.prepare("INSERT OR REPLACE INTO evaluation_sets VALUES(?, ?, ?, ?, ?)")
      .bind_all(model, set.location, set.sha256, set.project, seconds_of_promotion())
      .run();
}

}  // namespace qing::serve
