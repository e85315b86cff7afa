// The folder in which a server keeps what its users give it and what it makes of that.
#pragma once

#include <cstdint>
#include <filesystem>
#include <utility>

#include <qing/serve/common/database.h>
#include <qing/serve/state/schema.h>

namespace qing::serve {

/// A state folder has qing.db (SQLite: all records), files/ (uploaded data), jobs/ (a folder for each training) and
/// models/ (NAME/VERSION of the models that jobs made). It is made when something is stored first. Several processes
/// may use one folder. Thread-safe.
class State {
 public:
  static constexpr std::int64_t kVersion = kSchemaVersion;  ///< of the database's tables

  explicit State(std::filesystem::path folder) : folder_(std::move(folder)) {}

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path database() const { return folder_ / "qing.db"; }
  std::filesystem::path files() const { return folder_ / "files"; }
  std::filesystem::path jobs() const { return folder_ / "jobs"; }
  std::filesystem::path models() const { return folder_ / "models"; }
  /// Whether anything was ever stored.
  bool exists() const;

  /// A new connection to the database, for one thread. Makes the folder, which only its owner can read, and the
  /// database, or migrates the tables of an older version after copying them to qing.db.before-N, where N is the new
  /// version. IoError when the disk fails. DataError when qing.db is not a qing state, or is that of a newer qing.
  Database open() const;

 private:
  std::filesystem::path folder_;
};

}  // namespace qing::serve
