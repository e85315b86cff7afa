#include "project_data.h"

#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <qing/serve/common/database.h>
#include <qing/serve/files/file_store.h>
#include <qing/serve/keys/key_store.h>
#include <qing/serve/maintenance/state_snapshot.h>
#include <qing/serve/maintenance/tar_archive.h>
#include <qing/serve/state/audit.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kFormat = "qing project";

// The tables with rows of projects, and which rows of theirs belong to ?1. A test compares the list with the schema.
struct ProjectTable {
  const char* name;
  const char* rows;
};
constexpr ProjectTable kTables[] = {
    {"files", "project = ?1"},
    {"job_events", "job IN (SELECT id FROM jobs WHERE project = ?1)"},
    {"jobs", "project = ?1"},
    {"models", "project = ?1"},
    {"feedback", "project = ?1"},
    {"promotions", "project = ?1"},
    {"evaluation_sets", "project = ?1"},
    {"trial_plans", "project = ?1"},
    {"retraining", "project = ?1"},
    {"audit", "project = ?1"},
};
constexpr std::string_view kAudit = "audit";

void check(const State& state, const std::string& project) {
  if (!KeyStore::valid_project(project)) {
    throw ValueError("project: a name has 1 to 64 of A-Z a-z 0-9 . _ -, the first not a dot");
  }
  if (!state.exists()) {
    throw IoError(fmt::format("{}: keeps nothing yet; give the folder of qing serve --state", state.folder().string()));
  }
}

std::vector<std::string> texts(Database& database, const std::string& sql, const std::string& project) {
  Statement row = database.prepare(sql);
  row.bind(1, project);
  std::vector<std::string> found;
  while (row.step()) found.push_back(row.text(0));
  return found;
}

std::vector<std::string> file_ids(Database& database, const std::string& project) {
  return texts(database, "SELECT id FROM files WHERE project = ?", project);
}
std::vector<std::string> finished_jobs(Database& database, const std::string& project) {
  return texts(database, fmt::format("SELECT id FROM jobs WHERE project = ? AND status IN {}", kFinalStatuses),
               project);
}
std::vector<std::string> model_names(Database& database, const std::string& project) {
  return texts(database, "SELECT name FROM models WHERE project = ?", project);
}

// "json_object('id', id, …)" over the columns of a table.
std::string as_json(Database& database, const char* table) {
  Statement column = database.prepare("SELECT name FROM pragma_table_info(?) ORDER BY cid");
  column.bind(1, std::string_view(table));
  std::vector<std::string> pairs;
  while (column.step()) pairs.push_back(fmt::format("'{0}', {0}", column.text(0)));
  return fmt::format("json_object({})", fmt::join(pairs, ", "));
}

// Removes a folder in one step for all who look for it. A leftover of a crash is removed by the next call.
void remove_folder(const fs::path& folder) {
  const fs::path aside = folder.parent_path() / (".removed-" + folder.filename().string());
  remove_tree(aside);
  if (!is_there(folder)) return;
  fs::rename(folder, aside);
  sync_folder(folder.parent_path());
  remove_tree(aside);
}

// Copies of the database that a migration made have the project's rows too.
void remove_copies(const State& state) {
  for (const fs::directory_entry& entry : entries_of(state.folder())) {
    if (entry.path().filename().string().starts_with("qing.db.before-")) fs::remove(entry.path());
  }
}

}  // namespace

ProjectRows export_project(const State& state, const std::string& project, const fs::path& file) {
  check(state, project);
  remove_abandoned_snapshots(state);
  TarWriter archive(file);
  ProjectRows counts;
  StateSnapshot snapshot(state, project);
  for (const ProjectTable& table : kTables) {
    std::string lines;
    const auto sql =
        fmt::format("SELECT {} FROM {} WHERE {}", as_json(snapshot.rows(), table.name), table.name, table.rows);
    for (const std::string& line : texts(snapshot.rows(), sql, project)) {
      lines += line + "\n";
      ++counts[table.name];
    }
    if (!lines.empty()) archive.add(std::string(table.name) + ".jsonl", lines);
  }
  snapshot.close_rows();
  try {
    for (const char* folder : {"files", "jobs", "models"}) archive.add_folder(folder, snapshot.folder() / folder);
  } catch (const fs::filesystem_error& error) {
    throw IoError(fmt::format("{}: {}", error.path1().string(), error.code().message()));
  }
  archive.close(kFormat, State::kVersion);
  return counts;
}

ProjectRows delete_project(const State& state, const std::string& project) {
  check(state, project);
  Database database = state.open();
  database.run("PRAGMA secure_delete = ON");
  ProjectRows counts;
  {
    Transaction transaction(database);
    const auto busy = texts(
        database, fmt::format("SELECT id FROM jobs WHERE project = ? AND status NOT IN {}", kFinalStatuses), project);
    if (!busy.empty()) {
      throw ValueError(fmt::format("project: {} of its jobs are not finished, such as {}; cancel them first",
                                   busy.size(), busy.front()));
    }
    try {
      for (const std::string& id : file_ids(database, project)) fs::remove(state.files() / id);
      for (const std::string& id : finished_jobs(database, project)) remove_folder(state.jobs() / id);
      for (const std::string& name : model_names(database, project)) remove_folder(state.models() / name);
      remove_copies(state);
      remove_abandoned_snapshots(state);  // they have second names of the project's files
    } catch (const fs::filesystem_error& error) {
      throw IoError(fmt::format("{}: {}; call it again", error.path1().string(), error.code().message()));
    }
    for (const ProjectTable& table : kTables) {
      if (table.name == kAudit) continue;
      Statement row = database.prepare(fmt::format("DELETE FROM {} WHERE {} RETURNING 1", table.name, table.rows));
      row.bind(1, project);
      while (row.step()) ++counts[table.name];
    }
    record(database, {.project = project, .action = "project.delete", .object = project});
    transaction.commit();
  }
  // The log has the rows still, until it is written back and emptied.
  database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  return counts;
}

}  // namespace qing::serve
