#include "schema.h"

namespace qing::serve {

const std::array<const char*, kSchemaVersion> kMigrations = {
    R"(
-- The audit log; see audit.h. AUTOINCREMENT: a number is never given twice.
CREATE TABLE audit(
  number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, key TEXT NOT NULL, project TEXT NOT NULL,
  action TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL) STRICT;

-- Right labels of answered texts (feedback.h). text is empty unless its owner wants it kept. answered tells apart
-- answers to which a client gave one request id.
CREATE TABLE feedback(
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, project TEXT NOT NULL, model TEXT NOT NULL,
  version INTEGER NOT NULL, request TEXT NOT NULL, item INTEGER NOT NULL, answered INTEGER NOT NULL,
  predicted TEXT NOT NULL, label TEXT NOT NULL, text TEXT NOT NULL, created INTEGER NOT NULL,
  UNIQUE(project, request, item, answered)) STRICT;
CREATE INDEX feedback_by_model ON feedback(model, version, created);

-- Models that were proposed as the next version of another (maintenance/promotion_store.h). version is 0 for one that
-- its rule refused.
CREATE TABLE promotions(
  number INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, version INTEGER NOT NULL, source TEXT NOT NULL,
  source_version INTEGER NOT NULL, key TEXT NOT NULL, project TEXT NOT NULL, reasons TEXT NOT NULL,
  comparison TEXT NOT NULL, created INTEGER NOT NULL) STRICT;
CREATE INDEX promotions_by_model ON promotions(model, number);
-- The labelled texts on which the versions of a model are judged, known by their hash.
CREATE TABLE evaluation_sets(
  model TEXT PRIMARY KEY, location TEXT NOT NULL, sha256 TEXT NOT NULL, project TEXT NOT NULL,
  created INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- Trials that go on by themselves (maintenance/trial_plan.h). phase: running, ending or promoting.
CREATE TABLE trial_plans(
  model TEXT PRIMARY KEY, version INTEGER NOT NULL, plan TEXT NOT NULL, step INTEGER NOT NULL,
  step_started INTEGER NOT NULL, phase TEXT NOT NULL, reason TEXT NOT NULL, key TEXT NOT NULL,
  project TEXT NOT NULL) STRICT, WITHOUT ROWID;
-- Retraining on a schedule (maintenance/retraining.h). feedback: the number of the last one that was used.
CREATE TABLE retraining(
  model TEXT NOT NULL, project TEXT NOT NULL, key TEXT NOT NULL, every INTEGER NOT NULL, least INTEGER NOT NULL,
  started INTEGER NOT NULL, feedback INTEGER NOT NULL, PRIMARY KEY(model, project)) STRICT, WITHOUT ROWID;

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

-- Files that users uploaded. Their bytes are in files/ID. expires is 0 for a file that stays; report is that of a data
-- set, as JSON, and empty for any other file.
CREATE TABLE files(
  id TEXT PRIMARY KEY, project TEXT NOT NULL, name TEXT NOT NULL, purpose TEXT NOT NULL, bytes INTEGER NOT NULL,
  created INTEGER NOT NULL, expires INTEGER NOT NULL, sha256 TEXT NOT NULL, report TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX files_by_project ON files(project, id);
)",
    R"(
-- The kind of the model's answers, by nn::name_of(). It says what predicted and label are (feedback.h).
ALTER TABLE feedback ADD COLUMN problem TEXT NOT NULL DEFAULT 'single-label';
)"};

}  // namespace qing::serve
