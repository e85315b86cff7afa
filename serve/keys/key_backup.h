// Copies of a store of keys, made while servers and commands use it, and the way back.
#pragma once

#include <filesystem>

namespace qing::serve {

struct KeyBackupOptions {
  bool overwrite = false;             ///< replace a backup, or a store, that is there
  bool pepper = true;                 ///< backup_keys: copy the pepper too, to FILE.pepper
  std::filesystem::path pepper_file;  ///< restore_keys: the pepper; empty: FILE.pepper, else the one beside the store
};

/// Writes the store as it is at one moment, with every change that was acknowledged before, to `file`, and its pepper
/// to FILE.pepper. A plain copy of the store's file would lack what stands in SQLite's write-ahead log. Both files have
/// mode 0600 and are on the disk when the function returns; a crash leaves the old backup or the new one. IoError when
/// the disk fails, and when `file` is there and `overwrite` is not set. DataError when the store is none, when `file`
/// is there and is no backup of this store, and when a pepper of another store is at FILE.pepper: neither is ever
/// replaced.
void backup_keys(const std::filesystem::path& store, const std::filesystem::path& file,
                 const KeyBackupOptions& options);

/// Makes the store what it was when `file` was written. With `overwrite` it replaces the content of a store that is
/// there, in one transaction: servers that use it take the keys up within a second. All is checked before anything
/// changes: IoError when the disk fails or the file is no database, when the store is there and `overwrite` is not set,
/// and when there is no pepper; DataError when the file is damaged or no store of keys, or the pepper not its, or not
/// that of the store there.
void restore_keys(const std::filesystem::path& file, const std::filesystem::path& store,
                  const KeyBackupOptions& options);

}  // namespace qing::serve
