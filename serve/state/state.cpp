#include "state.h"

#include <fmt/format.h>

#include <qing/serve/state/schema.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kStateApplication = 0x71737461;  // "qsta", in the file's header

std::int64_t version_of(Database& database) {
  const std::int64_t application = database.number("PRAGMA application_id");
  const std::int64_t version = database.number("PRAGMA user_version");
  const bool empty = application == 0 && version == 0 && database.number("SELECT count(*) FROM sqlite_schema") == 0;
  if (!empty && application != kStateApplication) {
    throw DataError(
        fmt::format("{}: is not the state of a qing server; name another folder", database.file().string()));
  }
  if (version > State::kVersion) {
    throw DataError(
        fmt::format("{}: was written by a newer qing (tables of version {}, this one knows {}); use that "
                    "qing, or restore a backup",
                    database.file().string(), version, State::kVersion));
  }
  return version;
}

void migrate(Database& database) {
  if (version_of(database) == State::kVersion) return;
  if (const std::int64_t old = version_of(database); old > 0) {
    Database copy(fmt::format("{}.before-{}", database.file().string(), State::kVersion), Database::Mode::kCreate);
    database.copy_to(copy);
  }
  Transaction transaction(database);
  // Another process may have migrated it since.
  for (std::int64_t version = version_of(database); version < State::kVersion; ++version) {
    database.run(kMigrations[static_cast<size_t>(version)]);
  }
  database.run(
      fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kStateApplication, State::kVersion).c_str());
  transaction.commit();
}

}  // namespace

bool State::exists() const {
  std::error_code ignored;
  return fs::exists(database(), ignored);
}

Database State::open() const {
  std::error_code error;
  if (!fs::is_directory(folder_, error)) {
    fs::create_directories(folder_.parent_path(), error);
    fs::create_directory(folder_, error);
    if (!error) fs::permissions(folder_, fs::perms::owner_all, error);
    if (error) {
      throw IoError(
          fmt::format("{}: {}; give a folder that can be written with --state", folder_.string(), error.message()));
    }
  }
  Database opened(database(), Database::Mode::kCreate);
  opened.use_log();
  migrate(opened);
  return opened;
}

}  // namespace qing::serve
