#include "state_backup.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include <qing/serve/common/database.h>
#include <qing/serve/common/draft.h>
#include <qing/serve/maintenance/state_snapshot.h>
#include <qing/serve/maintenance/tar_archive.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kBackupFormat = "qing state";
constexpr const char* kDatabase = "qing.db";

[[noreturn]] void rethrow(const fs::filesystem_error& error) {
  throw IoError(fmt::format("{}: {}", error.path1().string(), error.code().message()));
}

// Absolute, without a slash at the end.
fs::path place_of(const State& state) {
  const fs::path folder = fs::absolute(state.folder()).lexically_normal();
  return folder.has_filename() ? folder : folder.parent_path();
}

// Hidden, because what is removed must not be a folder that somebody named so.
fs::path restore_place(const fs::path& place) {
  return place.parent_path() / ("." + place.filename().string() + ".restore-");
}

void check_database(const fs::path& file) {
  Database database(file, Database::Mode::kRead);
  const std::string damage = database.damage();
  if (!damage.empty()) throw DataError(fmt::format("{}: is damaged ({}); take another backup", file.string(), damage));
}

}  // namespace

void back_up_state(const State& state, const fs::path& file) {
  if (!state.exists()) {
    throw IoError(fmt::format("{}: keeps nothing yet; give the folder of qing serve --state", state.folder().string()));
  }
  TarWriter archive(file);
  try {
    remove_abandoned_snapshots(state);
    StateSnapshot snapshot(state);
    {
      Database copy(snapshot.folder() / kDatabase, Database::Mode::kCreate);
      snapshot.rows().copy_to(copy);
      copy.run("PRAGMA journal_mode=DELETE");
      snapshot.close_rows();
    }
    check_database(snapshot.folder() / kDatabase);
    archive.add_file(kDatabase, snapshot.folder() / kDatabase);
    for (const char* folder : {"files", "jobs", "models"}) archive.add_folder(folder, snapshot.folder() / folder);
  } catch (const fs::filesystem_error& error) { rethrow(error); }
  archive.close(kBackupFormat, State::kVersion);
}

void restore_state(const fs::path& file, const State& state) {
  try {
    const fs::path place = place_of(state);
    if (fs::exists(place) && !entries_of(place).empty()) {
      throw IoError(fmt::format("{}: is not empty; give a new folder", place.string()));
    }
    fs::create_directories(place.parent_path());
    remove_abandoned_restores(state);
    const DraftFolder draft(restore_place(place));
    const fs::path restored = draft.path() / "state";
    const TarManifest manifest = extract_tar(file, restored);
    if (manifest.format != kBackupFormat || !fs::exists(restored / kDatabase)) {
      throw DataError(fmt::format("{}: is no backup of a state; give a file of qing backup", file.string()));
    }
    check_database(restored / kDatabase);
    State(restored).open();  // refuses a newer one, and migrates an older one
    if (std::rename(restored.c_str(), place.c_str()) != 0) {
      throw IoError(fmt::format("{}: {}", place.string(), std::strerror(errno)));
    }
    sync_folder(place.parent_path());
  } catch (const fs::filesystem_error& error) { rethrow(error); }
}

void remove_abandoned_restores(const State& state) { remove_abandoned_drafts(restore_place(place_of(state))); }

}  // namespace qing::serve
