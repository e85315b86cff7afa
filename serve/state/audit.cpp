#include "audit.h"

#include <ctime>

namespace qing::serve {

void record(Database& database, const AuditEntry& entry) {
  database.prepare("INSERT INTO audit(time, key, project, action, object, detail) VALUES(?, ?, ?, ?, ?, ?)")
      .bind(1, entry.time != 0 ? entry.time : static_cast<std::int64_t>(std::time(nullptr)))
      .bind(2, entry.key)
      .bind(3, entry.project)
      .bind(4, entry.action)
      .bind(5, entry.object)
      .bind(6, entry.detail)
      .run();
}

std::vector<AuditEntry> audit_entries(Database& database, const AuditQuery& query) {
  Statement row = database.prepare(
      "SELECT number, time, key, project, action, object, detail FROM audit WHERE (?1 = '' OR project = ?1) "
      "AND (?2 = '' OR action = ?2 OR substr(action, 1, length(?2) + 1) = ?2 || '.') AND (?3 = 0 OR number < ?3) "
      "AND (?5 = '' OR object = ?5) ORDER BY number DESC LIMIT ?4");
  row.bind(1, query.project).bind(2, query.action).bind(3, query.before).bind(4, query.most).bind(5, query.object);
  std::vector<AuditEntry> entries;
  while (row.step()) {
    entries.push_back({row.number(1), row.text(2), row.text(3), row.text(4), row.text(5), row.text(6), row.number(0)});
  }
  return entries;
}

}  // namespace qing::serve
