#include "schema.h"

namespace qing::serve {

const std::array<const char*, State::kVersion> kMigrations = {
    R"(
-- The audit log; see audit.h. AUTOINCREMENT: a number is never given twice.
CREATE TABLE audit(
  number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, key TEXT NOT NULL, project TEXT NOT NULL,
  action TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
)"};

}  // namespace qing::serve
