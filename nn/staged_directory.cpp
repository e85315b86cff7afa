#include <qing/nn/staged_directory.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::nn {
namespace fs = std::filesystem;

namespace {

// Differs from the prefix of a checkpoint's staging folder, which may be in the same directory.
constexpr std::string_view kPrefix = ".staged-files-";

[[noreturn]] void refuse(const fs::path& path, const char* what, const std::error_code& error) {
  throw IoError(path.string() + ": cannot " + what + ": " + error.message());
}

std::vector<fs::path> names_in(const fs::path& directory) {
  std::vector<fs::path> names;
  std::error_code error;
  for (const fs::directory_entry& entry : entries_of(directory, error)) names.push_back(entry.path().filename());
  if (error) refuse(directory, "list", error);
  std::sort(names.begin(), names.end());
  return names;
}

int open_folder(const fs::path& path) { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); }

// Returns whether the opened folder still has this name.
bool still_named(int folder, const fs::path& path) {
  struct stat opened {
  }, named{};
  return fstat(folder, &opened) == 0 && lstat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

}  // namespace

StagedDirectory::StagedDirectory(fs::path directory) : directory_(std::move(directory)) {
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error) refuse(directory_, "create the folder", error);
  remove_abandoned();
  while (!create()) {}
}

// A folder without a locked lock belongs to a dead process. On a file system without locks no folder is removed.
void StagedDirectory::remove_abandoned() const {
  for (const fs::path& name : names_in(directory_)) {
    if (!name.string().starts_with(kPrefix)) continue;
    const int folder = open_folder(directory_ / name);
    if (folder < 0) continue;
    std::error_code ignored;
    const bool abandoned = flock(folder, LOCK_EX | LOCK_NB) == 0 && still_named(folder, directory_ / name);
    if (abandoned) remove_tree(directory_ / name, ignored);
    close(folder);
  }
}

// Returns false if another process removed the new folder as abandoned before it was locked.
bool StagedDirectory::create() {
  std::string name = (directory_ / (std::string(kPrefix) + "XXXXXX")).string();
  if (mkdtemp(name.data()) == nullptr) refuse(name, "create the folder", {errno, std::generic_category()});
  staging_ = name;
  lock_ = open_folder(staging_);
  const bool taken = lock_ < 0 || (flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK);
  if (!taken && still_named(lock_, staging_)) return true;
  const int reason = errno;
  if (lock_ >= 0) close(lock_);
  if (lock_ < 0 && reason != ENOENT) refuse(staging_, "open", {reason, std::generic_category()});
  return false;
}

StagedDirectory::~StagedDirectory() {
  std::error_code ignored;
  remove_tree(staging_, ignored);
  close(lock_);
}

void StagedDirectory::commit() {
  for (const fs::path& name : names_in(staging_)) {
    std::error_code error;
    fs::rename(staging_ / name, directory_ / name, error);
    if (error) refuse(directory_ / name, "replace", error);
  }
  sync_folder(directory_);
}

}  // namespace qing::nn
