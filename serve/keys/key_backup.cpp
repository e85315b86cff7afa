#include "key_backup.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include <qing/serve/common/database.h>
#include <qing/serve/common/draft.h>
#include <qing/serve/keys/key_store.h>
#include <qing/serve/keys/pepper.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

fs::path with_suffix(fs::path file, const std::string& suffix) { return file += suffix; }

[[noreturn]] void refuse_existing(const fs::path& file) {
  throw IoError(fmt::format("{}: exists; give another name, or --overwrite to replace it", file.string()));
}

// A temporary database in a locked folder beside `place`. publish() moves it to `place`, otherwise it is deleted.
class Draft {
 public:
  explicit Draft(const fs::path& place) : place_(place), folder_(draft_place(place)) {}
  // Copies `from` into one file without a log. The file is on the disk when this returns.
  void fill(Database& from) const {
    Database draft(file(), Database::Mode::kCreate);
    draft.run("PRAGMA synchronous=FULL");
    from.copy_to(draft);
    KeyStore::migrate(draft);  // a backup may be older than this version
    draft.run("PRAGMA journal_mode=DELETE");
  }
  fs::path file() const { return folder_.path() / "keys.db"; }
  // Unlike a rename, a link never replaces a file.
  void publish(bool replace) const {
    const int failed = replace ? ::rename(file().c_str(), place_.c_str()) : ::link(file().c_str(), place_.c_str());
    if (failed != 0 && errno == EEXIST) refuse_existing(place_);
    if (failed != 0) throw IoError(fmt::format("{}: {}", place_.string(), std::strerror(errno)));
    sync_folder(parent_folder(place_));
  }

 private:
  const fs::path place_;
  const DraftFolder folder_;
};

// SQLite would apply a leftover log to the new database.
void refuse_leftovers(const fs::path& place) {
  for (const char* suffix : {"-wal", "-journal"}) {
    const fs::path log = with_suffix(place, suffix);
    if (!fs::exists(log)) continue;
    throw IoError(fmt::format("{}: is the log of a database that no longer exists; remove it, or give another name",
                              log.string()));
  }
}

// `overwrite` replaces only an older backup of the same store. The pepper identifies the store.
void require_backup_of(const Pepper& pepper, const fs::path& file) {
  try {
    if (!KeyStore::is_database(file)) throw DataError("not a database");
    Database there(file, Database::Mode::kRead);
    KeyStore::check_database(there, pepper);
  } catch (const Error&) {
    throw DataError(fmt::format(
        "{}: is a backup of another store, damaged, or not a backup of keys; --overwrite does not replace it; "
        "give another name, or remove it",
        file.string()));
  }
}

fs::path pepper_for(const fs::path& file, const fs::path& store, const KeyBackupOptions& options) {
  if (!options.pepper_file.empty()) return options.pepper_file;
  const fs::path beside = with_suffix(file, ".pepper"), present = with_suffix(store, ".pepper");
  return !fs::exists(beside) && fs::exists(present) ? present : beside;
}

}  // namespace

void backup_keys(const fs::path& store, const fs::path& file, const KeyBackupOptions& options) {
  const KeyStore keys(store);  // runs all its checks, so that no damaged store is backed up
  if (!options.overwrite && fs::exists(file)) refuse_existing(file);
  std::error_code ignored;
  if (fs::equivalent(store, file, ignored)) {
    throw ValueError(fmt::format("{}: is the store itself; give another file for the backup", file.string()));
  }
  refuse_leftovers(file);
  remove_abandoned_file_drafts(file);
  if (fs::exists(file)) require_backup_of(read_pepper(with_suffix(store, ".pepper")), file);
  const Draft draft(file);
  {
    Database database(store, Database::Mode::kWrite);
    draft.fill(database);
  }
  // The pepper is written first, so that an existing backup can always be restored.
  if (options.pepper) write_pepper(with_suffix(file, ".pepper"), read_pepper(with_suffix(store, ".pepper")));
  draft.publish(options.overwrite);
}

void restore_keys(const fs::path& file, const fs::path& store, const KeyBackupOptions& options) {
  if (!fs::is_regular_file(file)) throw IoError(fmt::format("{}: no such file; give a backup of keys", file.string()));
  const Pepper pepper = read_pepper(pepper_for(file, store, options));
  Database backup(file, Database::Mode::kRead);
  KeyStore::check_database(backup, pepper);
  remove_abandoned_file_drafts(store);
  if (fs::exists(store)) {
    if (!options.overwrite) refuse_existing(store);
    // A server keeps the pepper in memory. With another pepper it would refuse every key until its next start.
    if (read_pepper(with_suffix(store, ".pepper")) != pepper) {
      throw DataError(
          fmt::format("{}: is another store than the one in the backup; give another name, or stop its "
                      "servers and remove it with its .pepper, -wal and -shm",
                      store.string()));
    }
    Database live(store, Database::Mode::kWrite);
    KeyStore::check_database(live, pepper);
    live.run("PRAGMA synchronous=FULL; PRAGMA secure_delete=ON");
    // Servers read the store at any moment, so it must not have an older version's tables even for one.
    const Draft draft(store);
    draft.fill(backup);
    Database(draft.file(), Database::Mode::kRead).copy_to(live);
  } else {
    refuse_leftovers(store);
    const Draft draft(store);
    draft.fill(backup);
    write_pepper(with_suffix(store, ".pepper"), pepper);
    draft.publish(false);
  }
  const KeyStore restored(store);
}

}  // namespace qing::serve
