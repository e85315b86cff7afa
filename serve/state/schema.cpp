#include "schema.h"

namespace qing::serve {

const std::array<const char*, State::kVersion> kMigrations = {
    R"(
-- Files that users uploaded. Their bytes are in files/ID. expires is 0 for a file that stays; report is that of a data
-- set, as JSON, and empty for any other file.
CREATE TABLE files(
  id TEXT PRIMARY KEY, project TEXT NOT NULL, name TEXT NOT NULL, purpose TEXT NOT NULL, bytes INTEGER NOT NULL,
  created INTEGER NOT NULL, expires INTEGER NOT NULL, sha256 TEXT NOT NULL, report TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX files_by_project ON files(project, id);
)"};

}  // namespace qing::serve
