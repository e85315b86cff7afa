// The audit log: who changed what, and when.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <qing/serve/common/database.h>

namespace qing::serve {

/// One change. None of its members may hold a user's text or a secret.
struct AuditEntry {
  std::int64_t time = 0;     ///< seconds since 1970 (UTC); 0: now
  std::string key = {};      ///< id of the caller's key; empty: a server without keys, or the server itself
  std::string project = {};  ///< of the caller
  std::string action = {};   ///< "file.create", "model.load"
  std::string object = {};   ///< the id or the name of what was changed
  std::string detail = {};   ///< more about the change, for people: "version 3"
  std::int64_t number = 0;   ///< position in the log, which grows; set by the log
};

/// Appends the entry. Call it in the transaction of the change, so that either both are stored or neither. IoError.
void record(Database& database, const AuditEntry& entry);

struct AuditQuery {
  std::string project = {};  ///< empty: all projects
  std::string action = {};   ///< this action, or all below it: "model" finds "model.load"; empty: all actions
  std::string object = {};   ///< the id or name of what was changed; empty: all
  std::int64_t before = 0;   ///< entries with lower numbers; 0: from the newest
  std::int64_t most = 100;   ///< entries returned
};
/// The newest entries first. IoError.
std::vector<AuditEntry> audit_entries(Database& database, const AuditQuery& query);

}  // namespace qing::serve
