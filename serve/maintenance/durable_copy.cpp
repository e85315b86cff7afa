#include "durable_copy.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail_copy(const fs::path& path) {
  throw IoError(fmt::format("{}: {}", path.string(), std::strerror(errno)));
}

class DurableFile {
 public:
  explicit DurableFile(const fs::path& path)
      : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) {
    if (fd_ < 0) fail_copy(path_);
  }
  ~DurableFile() { ::close(fd_); }
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;
  void write(std::span<const char> bytes) const {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail_copy(path_);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }
  void sync() const {
    if (::fsync(fd_) != 0) fail_copy(path_);
  }

 private:
  const fs::path path_;
  const int fd_;
};

}  // namespace

void write_new_file(const fs::path& file, const std::function<std::span<const char>()>& next) {
  const DurableFile to(file);
  for (std::span<const char> bytes = next(); !bytes.empty(); bytes = next()) to.write(bytes);
  to.sync();
}

void copy_one_file(const fs::path& from, const fs::path& to) {
  constexpr size_t kPiece = size_t{1} << 20;
  FileReader reader(from);
  std::vector<char> piece(kPiece);
  write_new_file(to, [&] { return std::span<const char>(piece.data(), reader.read(piece)); });
}

void copy_folder(const fs::path& from, const fs::path& to) {
  try {
    fs::create_directory(to);
    for (const fs::directory_entry& entry : entries_of(from)) {
      const fs::path target = to / entry.path().filename();
      if (entry.is_symlink()) {
        throw DataError(fmt::format("{}: is a symbolic link; put the file itself there", entry.path().string()));
      }
      if (entry.is_directory()) {
        copy_folder(entry.path(), target);
      } else if (entry.is_regular_file()) {
        copy_one_file(entry.path(), target);
      } else {
        throw DataError(fmt::format("{}: is neither a folder nor a file; remove it", entry.path().string()));
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw IoError(fmt::format("{}: {}", error.path1().string(), error.code().message()));
  }
  sync_folder(to);
}

}  // namespace qing::serve
