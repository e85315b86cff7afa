// Replacing files of a directory together: either all new ones are complete on disk before the first old one goes, or
// none goes.
#pragma once

#include <filesystem>

namespace qing::nn {

/// A folder ".staged-<pid>" inside `directory` (created if absent) to write into. commit() moves its files over those of
/// the same names; a staging folder that is not committed is removed with what is in it. Other files stay as they are.
class StagedDirectory {
 public:
  explicit StagedDirectory(std::filesystem::path directory);  ///< IoError
  ~StagedDirectory();
  StagedDirectory(const StagedDirectory&) = delete;
  StagedDirectory& operator=(const StagedDirectory&) = delete;

  const std::filesystem::path& path() const { return staging_; }
  void commit();  ///< IoError. Renames only: no space is needed.

 private:
  std::filesystem::path directory_, staging_;
};

}  // namespace qing::nn
