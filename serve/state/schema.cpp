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
-- Training jobs (serve/jobs/job_store.h). An empty text and 0 stand for nothing.
CREATE TABLE jobs(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  project TEXT NOT NULL,
  status TEXT NOT NULL,
  created INTEGER NOT NULL,
  finished INTEGER NOT NULL DEFAULT 0,
  estimated_finish INTEGER NOT NULL DEFAULT 0,
  base TEXT NOT NULL,
  base_version INTEGER NOT NULL,
  model TEXT NOT NULL UNIQUE,
  training_file TEXT NOT NULL,
  validation_file TEXT NOT NULL,
  seed INTEGER NOT NULL,
  metadata TEXT NOT NULL,
  hyperparameters TEXT NOT NULL,
  options TEXT NOT NULL,
  error_code TEXT NOT NULL DEFAULT '',
  error_message TEXT NOT NULL DEFAULT '',
  error_param TEXT NOT NULL DEFAULT '',
  trained_tokens INTEGER NOT NULL DEFAULT 0,
  result_file TEXT NOT NULL DEFAULT '',
  step INTEGER NOT NULL DEFAULT 0,
  steps INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  milliseconds INTEGER NOT NULL DEFAULT 0,
  outcome TEXT NOT NULL DEFAULT '{}',
  idempotency_key TEXT NOT NULL,
  request TEXT NOT NULL
);
CREATE INDEX jobs_by_project ON jobs(project, number);
CREATE INDEX jobs_by_status ON jobs(status);
CREATE UNIQUE INDEX jobs_by_key ON jobs(project, idempotency_key) WHERE idempotency_key <> '';
CREATE TABLE job_events(
  job TEXT NOT NULL,
  number INTEGER NOT NULL,
  created INTEGER NOT NULL,
  level TEXT NOT NULL,
  type TEXT NOT NULL,
  message TEXT NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY(job, number)
) WITHOUT ROWID;
-- The models that jobs made, each visible to its project alone (serve/jobs/model_owners.h).
CREATE TABLE models(
  name TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  job TEXT NOT NULL,
  created INTEGER NOT NULL
) WITHOUT ROWID;
)"};

}  // namespace qing::serve
