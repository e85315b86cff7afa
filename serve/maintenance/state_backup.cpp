#include "state_backup.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include <qing/serve/common/database.h>
#include <qing/serve/common/random_id.h>
#include <qing/serve/files/upload.h>
#include <qing/serve/maintenance/tar_archive.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kBackupFormat = "qing state";
constexpr const char* kDatabase = "qing.db";

[[noreturn]] void rethrow(const fs::filesystem_error& error) {
  throw IoError(fmt::format("{}: {}", error.path1().string(), error.code().message()));
}

// A folder inside the state, removed at the end.
class Snapshot {
 public:
  explicit Snapshot(const State& state) : path_(state.folder() / (".backup-" + random_characters(8))) {
    fs::create_directory(path_);
  }
  ~Snapshot() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  const fs::path& path() const { return path_; }

 private:
  const fs::path path_;
};

// Hidden entries are drafts and locks, but for the choices of the registry.
bool is_kept(const fs::path& entry) {
  const std::string name = entry.filename().string();
  return (!name.starts_with('.') || name == ".registry.json") && !name.starts_with(Upload::kPrefix);
}

// A second name for every file below a folder. What is removed meanwhile is left out.
void link_tree(const fs::path& from, const fs::path& to) {
  if (!fs::is_directory(from)) return;
  fs::create_directory(to);
  for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
    if (!is_kept(entry.path())) continue;
    const fs::path target = to / entry.path().filename();
    if (entry.is_directory()) {
      link_tree(entry.path(), target);
      continue;
    }
    std::error_code error;
    fs::create_hard_link(entry.path(), target, error);
    if (error && error != std::errc::no_such_file_or_directory) {
      throw IoError(fmt::format("{}: {}", entry.path().string(), error.message()));
    }
  }
}

void take_snapshot(const State& state, const fs::path& to) {
  Database live = state.open();
  // With the write lock no row changes. A file has its row as long as it exists, so all files of the rows are here.
  const Transaction nothing_changes(live);
  {
    Database source(state.database(), Database::Mode::kRead);
    Database copy(to / kDatabase, Database::Mode::kCreate);
    source.copy_to(copy);
    copy.run("PRAGMA journal_mode=DELETE");
  }
  link_tree(state.files(), to / "files");
  link_tree(state.models(), to / "models");
  fs::create_directory(to / "jobs");
  Statement job = live.prepare("SELECT id FROM jobs WHERE status IN ('succeeded', 'failed', 'cancelled')");
  while (job.step()) link_tree(state.jobs() / job.text(0), to / "jobs" / job.text(0));
}

void check_database(const fs::path& file) {
  Database database(file, Database::Mode::kRead);
  Statement check = database.prepare("PRAGMA integrity_check");
  const std::string result = check.step() ? check.text(0) : "";
  if (result != "ok") throw DataError(fmt::format("{}: is damaged ({}); take another backup", file.string(), result));
}

}  // namespace

void back_up_state(const State& state, const fs::path& file) {
  if (!state.exists()) {
    throw IoError(fmt::format("{}: keeps nothing yet; give the folder of qing serve --state", state.folder().string()));
  }
  TarWriter archive(file);
  try {
    const Snapshot snapshot(state);
    take_snapshot(state, snapshot.path());
    check_database(snapshot.path() / kDatabase);
    archive.add_file(kDatabase, snapshot.path() / kDatabase);
    for (const char* folder : {"files", "jobs", "models"}) archive.add_folder(folder, snapshot.path() / folder);
  } catch (const fs::filesystem_error& error) { rethrow(error); }
  archive.close(kBackupFormat, State::kVersion);
}

void restore_state(const fs::path& file, const State& state) {
  try {
    const fs::path folder = fs::absolute(state.folder()).lexically_normal();
    const fs::path place = folder.has_filename() ? folder : folder.parent_path();
    if (fs::exists(place) && !fs::is_empty(place)) {
      throw IoError(fmt::format("{}: is not empty; give a new folder", place.string()));
    }
    fs::create_directories(place.parent_path());
    const fs::path draft = place.string() + ".restore-" + random_characters(8);
    const TarManifest manifest = extract_tar(file, draft);
    try {
      if (manifest.format != kBackupFormat || !fs::exists(draft / kDatabase)) {
        throw DataError(fmt::format("{}: is no backup of a state; give a file of qing backup", file.string()));
      }
      check_database(draft / kDatabase);
      State(draft).open();  // refuses a newer one, and migrates an older one
      if (std::rename(draft.c_str(), place.c_str()) != 0) {
        throw IoError(fmt::format("{}: {}", place.string(), std::strerror(errno)));
      }
    } catch (...) {
      std::error_code ignored;
      fs::remove_all(draft, ignored);
      throw;
    }
    sync_folder(place.parent_path());
  } catch (const fs::filesystem_error& error) { rethrow(error); }
}

}  // namespace qing::serve
