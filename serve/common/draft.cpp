#include "draft.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include <qing/serve/common/characters.h>
#include <qing/serve/common/random_id.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

constexpr size_t kDraftCharacters = 8;
constexpr std::string_view kFileDraftBegin = ".qing-", kFileDraftMark = ".draft-";

int open_draft(const fs::path& draft) { return ::open(draft.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW); }

}  // namespace

DraftLock::DraftLock(const fs::path& draft) : draft_(draft), descriptor_(open_draft(draft)) {
  if (descriptor_ < 0) {
    if (errno == ENOENT) return;
    throw IoError(fmt::format("{}: cannot be opened: {}", draft.string(), std::strerror(errno)));
  }
  while (::flock(descriptor_, LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    // A network's file system without such locks. Nobody removes drafts there.
    if (errno == EBADF || errno == ENOLCK || errno == EOPNOTSUPP) break;
    const int why = errno;
    ::close(descriptor_);
    throw IoError(fmt::format("{}: cannot be locked: {}", draft.string(), std::strerror(why)));
  }
}

DraftLock::~DraftLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool DraftLock::there() const { return descriptor_ >= 0 && is_there(draft_); }

DraftFolder::DraftFolder(const fs::path& place) {
  for (;;) {
    path_ = draft_name(place);
    std::error_code error;
    if (!fs::create_directory(path_, error)) {
      throw IoError(fmt::format("{}: {}", path_.string(), error ? error.message() : "exists"));
    }
    try {
      fs::permissions(path_, fs::perms::owner_all, error);
      lock_ = std::make_unique<DraftLock>(path_);
    } catch (...) {
      remove_tree(path_, error);
      throw;
    }
    if (lock_->there()) return;
  }
}

DraftFolder::~DraftFolder() {
  std::error_code ignored;
  remove_tree(path_, ignored);
}

fs::path draft_place(const fs::path& file) {
  return parent_folder(file) / fmt::format("{}{}{}", kFileDraftBegin, file.filename().string(), kFileDraftMark);
}

bool is_file_draft_name(std::string_view name) {
  const size_t mark = name.rfind(kFileDraftMark);
  return name.starts_with(kFileDraftBegin) && mark != name.npos && is_draft_name(name.substr(mark), kFileDraftMark);
}

fs::path draft_name(const fs::path& place) { return place.string() + random_characters(kDraftCharacters); }

bool is_draft_name(std::string_view name, std::string_view place) {
  return name.size() == place.size() + kDraftCharacters && name.starts_with(place) &&
         has_only(name.substr(place.size()), is_alphanumeric);
}

bool remove_if_abandoned(const fs::path& draft) {
  const int descriptor = open_draft(draft);
  if (descriptor < 0) return false;
  // Removed under the lock: whoever waits for it finds the draft gone, and makes another.
  std::error_code ignored;
  const bool removed = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && remove_tree(draft, ignored) && !ignored;
  ::close(descriptor);
  return removed;
}

void remove_abandoned(const fs::path& folder, const std::function<bool(const fs::path&)>& is_draft) {
  std::error_code unreadable;
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : entries_of(folder, unreadable)) found.push_back(entry.path());
  for (const fs::path& path : found) {
    if (is_draft(path)) remove_if_abandoned(path);
  }
}

void remove_abandoned_drafts(const fs::path& place) {
  const std::string name = place.filename().string();
  remove_abandoned(parent_folder(place),
                   [&name](const fs::path& path) { return is_draft_name(path.filename().string(), name); });
}

void remove_abandoned_file_drafts(const fs::path& file) {
  remove_abandoned(parent_folder(file), [](const fs::path& path) {
    std::error_code none;
    return is_file_draft_name(path.filename().string()) && fs::is_directory(fs::symlink_status(path, none));
  });
}

}  // namespace qing::serve
