// Replaces files of a directory together: all new files are complete on disk before the first old file is replaced.
#pragma once

#include <filesystem>

namespace qing::nn {

/// A staging folder inside `directory` (created if absent). commit() moves its files over those of the same names. The
/// destructor removes a staging folder that was not committed. Other files stay unchanged. Any number of threads and
/// processes may stage in one directory; of several files of one name the last committed one stays. The next process to
/// stage in the directory removes what a killed process staged.
class StagedDirectory {
 public:
  explicit StagedDirectory(std::filesystem::path directory);  ///< IoError
  ~StagedDirectory();
  StagedDirectory(const StagedDirectory&) = delete;
  StagedDirectory& operator=(const StagedDirectory&) = delete;

  const std::filesystem::path& path() const { return staging_; }
  /// Renames the files one by one, in the order of their names, and syncs the directory. It needs no space, and no file
  /// is ever torn. A process killed between two renames, or an IoError here, leaves new files beside old ones until all
  /// are written again.
  void commit();

 private:
  void remove_abandoned() const;
  bool create();

  std::filesystem::path directory_, staging_;
  int lock_ = -1;  // lock of the staging folder, which the kernel releases however the process ends
};

}  // namespace qing::nn
