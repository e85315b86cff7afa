#include "promotion_store.h"

#include <ctime>

#include <boost/json.hpp>

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

}  // namespace

void PromotionStore::add(const Promotion& promotion) {
  database_
      .prepare(
          "INSERT INTO promotions(model, version, source, source_version, key, project, reasons, comparison, "
          "created) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .bind(1, promotion.model)
      .bind(2, promotion.version)
      .bind(3, promotion.source)
      .bind(4, promotion.source_version)
      .bind(5, promotion.key)
      .bind(6, promotion.project)
      .bind(7, list_text(promotion.reasons))
      .bind(8, promotion.comparison)
      .bind(9, static_cast<std::int64_t>(std::time(nullptr)))
      .run();
}

std::vector<Promotion> PromotionStore::of(const std::string& model, std::int64_t most) {
  Statement row = database_.prepare(
      "SELECT number, model, version, source, source_version, key, project, reasons, comparison, created "
      "FROM promotions WHERE model = ? ORDER BY number DESC LIMIT ?");
  row.bind(1, model).bind(2, most);
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
      .bind(1, model)
      .bind(2, set.location)
      .bind(3, set.sha256)
      .bind(4, set.project)
      .bind(5, static_cast<std::int64_t>(std::time(nullptr)))
      .run();
}

}  // namespace qing::serve
