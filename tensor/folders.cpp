#include <qing/tensor/folders.h>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <memory>
#include <utility>

namespace qing {
namespace fs = std::filesystem;
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};
using OpenFolder = std::unique_ptr<DIR, CloseFolder>;

std::error_code last_error() { return {errno, std::generic_category()}; }

// The next name but "." and ".."; null at the end and on an error.
const char* next_name(DIR* folder, std::error_code& error) {
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(folder);
    if (entry == nullptr) {
      if (errno != 0) error = last_error();
      return nullptr;
    }
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) return entry->d_name;
  }
}

bool remove_at(int parent, const char* name, std::error_code& error) noexcept;

void remove_contents(DIR* folder, std::error_code& error) noexcept {
  // Some file systems pass over entries while others are removed.
  for (bool found = true; found && !error;) {
    found = false;
    ::rewinddir(folder);
    while (const char* name = next_name(folder, error)) {
      // An entry that is listed and yet not there must not make the loop endless.
      if (remove_at(::dirfd(folder), name, error)) found = true;
      if (error) return;
    }
  }
}

// Whether it was there.
bool remove_at(int parent, const char* name, std::error_code& error) noexcept {
  if (::unlinkat(parent, name, 0) == 0) return true;
  if (errno == ENOENT) return false;
  const std::error_code why = last_error();
  const int descriptor = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor < 0) {
    error = errno == ENOTDIR ? why : last_error();
    return true;
  }
  const OpenFolder folder(::fdopendir(descriptor));
  if (!folder) {
    error = last_error();
    ::close(descriptor);
    return true;
  }
  remove_contents(folder.get(), error);
  if (!error && ::unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT) error = last_error();
  return true;
}

}  // namespace

std::vector<fs::directory_entry> entries_of(const fs::path& folder, std::error_code& error) {
  error.clear();
  std::vector<fs::directory_entry> entries;
  const OpenFolder open(::opendir(folder.c_str()));
  if (!open) {
    error = last_error();
    return entries;
  }
  while (const char* name = next_name(open.get(), error)) {
    std::error_code unknown;
    fs::directory_entry entry(folder / name, unknown);
    if (!unknown) {
      entries.push_back(std::move(entry));
    } else if (unknown != std::errc::no_such_file_or_directory) {
      error = unknown;
      break;
    }
  }
  if (error) entries.clear();
  return entries;
}

std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::directory_entry> entries = entries_of(folder, error);
  if (error) throw fs::filesystem_error("cannot list the folder", folder, error);
  return entries;
}

std::vector<fs::directory_entry> entries_below(const fs::path& folder) {
  std::vector<fs::directory_entry> entries = entries_of(folder);
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].is_symlink() || !entries[i].is_directory()) continue;
    std::vector<fs::directory_entry> more = entries_of(entries[i].path());
    entries.insert(entries.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  return entries;
}

bool remove_tree(const fs::path& path, std::error_code& error) noexcept {
  error.clear();
  return remove_at(AT_FDCWD, path.c_str(), error);
}

bool remove_tree(const fs::path& path) {
  std::error_code error;
  const bool removed = remove_tree(path, error);
  if (error) throw fs::filesystem_error("cannot remove", path, error);
  return removed;
}

}  // namespace qing
