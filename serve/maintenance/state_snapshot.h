// A state as it is at one moment.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <qing/serve/common/database.h>
#include <qing/serve/common/draft.h>
#include <qing/serve/state/state.h>

namespace qing::serve {

/// Its rows, and second names (hard links) of its files, models and folders of finished jobs. Servers may change the
/// state meanwhile: they wait only while the files get second names. Not thread-safe.
class StateSnapshot {
 public:
  /// The files of all projects, or of one. rows() has those of all projects. IoError, also when the state's file system
  /// has no hard links.
  explicit StateSnapshot(const State& state, const std::string& project = {});

  /// files/, jobs/ and models/ of the moment. It lies in the state's folder and is removed at the end.
  const std::filesystem::path& folder() const { return folder_.path(); }
  /// Reads the rows of the moment. The database's log grows until close_rows().
  Database& rows() { return *rows_; }
  void close_rows() { rows_.reset(); }

 private:
  void link_all(const State& state);
  void link_project(const State& state, const std::string& project);

  const DraftFolder folder_;
  std::optional<Database> rows_;
};

/// The statuses of jobs that have ended, as a list of SQL.
inline constexpr const char* kFinalStatuses = "('succeeded', 'failed', 'cancelled')";

/// Removes the snapshots that killed processes have left in a state's folder.
void remove_abandoned_snapshots(const State& state);

}  // namespace qing::serve
