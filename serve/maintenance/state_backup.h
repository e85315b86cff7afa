// Backup and restore of a state folder.
#pragma once

#include <filesystem>

#include <qing/serve/state/state.h>

namespace qing::serve {

/// Writes the state as it is at one moment to an archive: the database, the files, the models and the folders of
/// finished jobs. Servers may use the state meanwhile: changes wait for at most the time in which the files get
/// second names. IoError, with nothing left, when the disk fails, when `file` exists, or when
/// the state's file system has no hard links. DataError when the folder is not a state.
void back_up_state(const State& state, const std::filesystem::path& file);

/// Makes a state folder of an archive. The folder must not exist, or be empty. The whole archive is verified first. The
/// tables of an older version are migrated, after a copy. DataError, with nothing left, for an archive that is damaged
/// or is no backup of a state. IoError likewise.
void restore_state(const std::filesystem::path& file, const State& state);

/// Removes what killed restores of this state have left beside its folder.
void remove_abandoned_restores(const State& state);

}  // namespace qing::serve
