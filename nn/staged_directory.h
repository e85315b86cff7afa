// Replacing files of a directory together: all new ones are complete on disk before the first old one goes.
#pragma once

#include <filesystem>

namespace qing::nn {

/// A folder of its own inside `directory` (created if absent) to write into. commit() moves its files over those of the
/// same names; a staging folder that is not committed is removed with what is in it. Other files stay as they are.
/// Any number of threads and processes may stage in one directory; of files of one name the last committed stays. What
/// a killed process staged is removed by the next one to stage there.
class StagedDirectory {
 public:
  explicit StagedDirectory(std::filesystem::path directory);  ///< IoError
  ~StagedDirectory();
  StagedDirectory(const StagedDirectory&) = delete;
  StagedDirectory& operator=(const StagedDirectory&) = delete;

  const std::filesystem::path& path() const { return staging_; }
  /// Renames the files one by one, in the order of their names, and syncs the directory. Needs no space, and no file is
  /// ever torn; but a process that is killed between two renames, like an IoError here, leaves new files beside old
  /// ones, until the whole is written again.
  void commit();

 private:
  void remove_abandoned() const;
  bool create();

  std::filesystem::path directory_, staging_;
  int lock_ = -1;  // of the staging folder; the kernel lets go of it when the process dies, however it dies
};

}  // namespace qing::nn
