#include "state_snapshot.h"

#include <fmt/format.h>

#include <qing/serve/files/upload.h>
#include <qing/serve/registry/choice_files.h>
#include <qing/serve/registry/model_folders.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

fs::path snapshot_place(const State& state) { return state.folder() / ".backup-"; }

// Hidden entries are drafts and locks, but for the choices of the registry and the marks of versions on their way.
bool is_kept(const fs::path& entry) {
  const std::string name = entry.filename().string();
  if (name.starts_with(Upload::kPrefix)) return false;
  return !name.starts_with('.') || name == ChoiceFiles::kFile || name.starts_with(kVersionMark);
}

// What is removed meanwhile is left out.
void link_file(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_hard_link(from, to, error);
  if (error && error != std::errc::no_such_file_or_directory) {
    throw IoError(fmt::format("{}: {}", from.string(), error.message()));
  }
}

// A second name for every file below a folder.
void link_tree(const fs::path& from, const fs::path& to) {
  if (!fs::is_directory(from)) return;
  fs::create_directory(to);
  for (const fs::directory_entry& entry : entries_of(from)) {
    if (!is_kept(entry.path())) continue;
    const fs::path target = to / entry.path().filename();
    entry.is_directory() ? link_tree(entry.path(), target) : link_file(entry.path(), target);
  }
}

}  // namespace

StateSnapshot::StateSnapshot(const State& state, const std::string& project) : folder_(snapshot_place(state)) {
  Database live = state.open();
  rows_.emplace(state.database(), Database::Mode::kRead);
  // With the write lock no row changes. A file has its row as long as it exists, so all files of the rows are here.
  const Transaction nothing_changes(live);
  rows_->run("BEGIN");
  rows_->number("SELECT count(*) FROM sqlite_schema");  // a read fixes the moment
  try {
    for (const char* name : {"files", "jobs", "models"}) fs::create_directory(folder() / name);
    project.empty() ? link_all(state) : link_project(state, project);
  } catch (const fs::filesystem_error& error) {
    throw IoError(fmt::format("{}: {}", error.path1().string(), error.code().message()));
  }
}

void StateSnapshot::link_all(const State& state) {
  link_tree(state.files(), folder() / "files");
  link_tree(state.models(), folder() / "models");
  Statement job = rows_->prepare(fmt::format("SELECT id FROM jobs WHERE status IN {}", kFinalStatuses));
  while (job.step()) link_tree(state.jobs() / job.text(0), folder() / "jobs" / job.text(0));
}

void StateSnapshot::link_project(const State& state, const std::string& project) {
  const auto each = [&](const std::string& sql, const auto& link) {
    Statement row = rows_->prepare(sql);
    row.bind(1, project);
    while (row.step()) link(row.text(0));
  };
  each("SELECT id FROM files WHERE project = ?",
       [&](const std::string& id) { link_file(state.files() / id, folder() / "files" / id); });
  each(fmt::format("SELECT id FROM jobs WHERE project = ? AND status IN {}", kFinalStatuses),
       [&](const std::string& id) { link_tree(state.jobs() / id, folder() / "jobs" / id); });
  each("SELECT name FROM models WHERE project = ?",
       [&](const std::string& name) { link_tree(state.models() / name, folder() / "models" / name); });
}

void remove_abandoned_snapshots(const State& state) { remove_abandoned_drafts(snapshot_place(state)); }

}  // namespace qing::serve
