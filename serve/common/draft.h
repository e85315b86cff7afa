// Temporary files and folders, and how another process knows those that a killed one has left.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace qing::serve {

/// A lock (flock) on a draft, a file or folder with a random name. It tells a draft in use from a leftover, since it
/// ends with its process, however that ends.
class DraftLock {
 public:
  /// Locks a draft that this process has just made. Waits for a process that looks whether it is a leftover. On a file
  /// system without locks there is none, and drafts stay. IoError.
  explicit DraftLock(const std::filesystem::path& draft);
  ~DraftLock();
  DraftLock(const DraftLock&) = delete;
  DraftLock& operator=(const DraftLock&) = delete;
  /// False when another process has removed the draft before it was locked.
  bool there() const;

 private:
  const std::filesystem::path draft_;
  int descriptor_;
};

/// A new, locked folder that only its owner can read. It is removed at the end with all that is in it.
class DraftFolder {
 public:
  /// `place` and 8 random characters are its path. IoError.
  explicit DraftFolder(const std::filesystem::path& place);
  ~DraftFolder();
  DraftFolder(const DraftFolder&) = delete;
  DraftFolder& operator=(const DraftFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::unique_ptr<DraftLock> lock_;
};

/// The place of the drafts of a file: ".qing-NAME.draft-" in its folder. No other program's files have such names.
std::filesystem::path draft_place(const std::filesystem::path& file);
/// Whether draft_name() makes this name of the draft_place() of any file.
bool is_file_draft_name(std::string_view name);

/// `place` and 8 random characters. IoError.
std::filesystem::path draft_name(const std::filesystem::path& place);
/// Whether this is a name that draft_name() makes of a place with this name.
bool is_draft_name(std::string_view name, std::string_view place);

/// Removes a file or folder unless a process holds its lock. Says whether it was removed. What cannot be opened stays.
bool remove_if_abandoned(const std::filesystem::path& draft);
/// Removes the abandoned drafts of a folder, which `is_draft` knows. A folder that cannot be read has none.
void remove_abandoned(const std::filesystem::path& folder,
                      const std::function<bool(const std::filesystem::path&)>& is_draft);
/// The drafts of one place.
void remove_abandoned_drafts(const std::filesystem::path& place);
/// Removes abandoned draft folders beside a file, whatever file they are of: yesterday's backup may have another name.
void remove_abandoned_file_drafts(const std::filesystem::path& file);

}  // namespace qing::serve
