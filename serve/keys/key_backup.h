// Backup and restore of a key store while servers and commands use it.
#pragma once

#include <filesystem>

namespace qing::serve {

struct KeyBackupOptions {
  bool overwrite = false;             ///< replace an existing backup or store
  bool pepper = true;                 ///< backup_keys: copy the pepper too, to FILE.pepper
  std::filesystem::path pepper_file;  ///< restore_keys: the pepper; empty: FILE.pepper, else the one beside the store
};

/// Writes a consistent snapshot of the store, with every acknowledged change, to `file`, and its pepper to FILE.pepper.
/// A plain copy of the store's file would miss the changes in SQLite's write-ahead log. Both files have mode 0600 and
/// are on disk when the function returns; a crash leaves the old or the new backup. IoError when the disk fails, or
/// when `file` exists without `overwrite`. DataError when the store is not a key store, when the existing `file` is not
/// a backup of this store, or when FILE.pepper belongs to another store; neither of these files is ever replaced.
void backup_keys(const std::filesystem::path& store, const std::filesystem::path& file,
                 const KeyBackupOptions& options);

/// Restores the store from `file`. With `overwrite` it replaces the content of an existing store in one transaction;
/// servers that use it load the keys within a second. Everything is checked before anything changes. IoError when the
/// disk fails, when the file is not a database, when the store exists without `overwrite`, or when the pepper is
/// missing. DataError when the file is damaged or not a key store, or when the pepper does not belong to it or differs
/// from that of the existing store.
void restore_keys(const std::filesystem::path& file, const std::filesystem::path& store,
                  const KeyBackupOptions& options);

}  // namespace qing::serve
