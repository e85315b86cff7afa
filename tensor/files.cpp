#include <qing/tensor/files.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <qing/tensor/errors.h>

namespace qing {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* what, int error) {
  throw IoError(path.string() + ": cannot " + what + ": " + std::strerror(error));
}

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags, mode_t mode = 0)
      : fd_(open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  int close() { return ::close(release()); }  // reports late write errors

 private:
  int fd_;
};

void write_all(int fd, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path, "write", errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

// A new file beside `place`, which is removed unless it was renamed away. The name is allocated before the file is
// made, since there may be no memory for it afterwards.
struct Temporary {
  std::string path;
  bool left = false;
  explicit Temporary(const std::filesystem::path& place) : path(place.string() + ".tmp-XXXXXX") {}
  ~Temporary() {
    if (left) unlink(path.c_str());
  }
  // Makes an empty file. Returns the error's number, 0 without one.
  int create() {
    const int file = mkostemp(path.data(), O_CLOEXEC);
    if (file < 0) return errno;
    left = true;
    ::close(file);
    return 0;
  }
};

}  // namespace

FileReader::FileReader(std::filesystem::path path) : path_(std::move(path)) {
  Descriptor file(path_, O_RDONLY);
  if (!file.valid()) fail(path_, "open", errno);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) fail(path_, "read", errno);
  if (S_ISDIR(status.st_mode)) fail(path_, "read", EISDIR);
  size_ = static_cast<size_t>(status.st_size);
  fd_ = file.release();
}

FileReader::~FileReader() { ::close(fd_); }

size_t FileReader::read(std::span<char> into) {
  for (;;) {
    const ssize_t count = ::read(fd_, into.data(), into.size());
    if (count >= 0) return static_cast<size_t>(count);
    if (errno != EINTR) fail(path_, "read", errno);
  }
}

void FileReader::read_exactly(std::span<char> into) {
  while (!into.empty()) {
    const size_t count = read(into);
    if (count == 0) {
      throw DataError(path_.string() + ": the file ends " + std::to_string(into.size()) +
                      " bytes too early; write or download it again");
    }
    into = into.subspan(count);
  }
}

std::string read_file(const std::filesystem::path& path, size_t most) {
  FileReader file(path);
  const auto check = [&](size_t size) {
    if (size <= most) return;
    throw IoError(path.string() + ": the file is larger than the limit of " + std::to_string(most) +
                  " bytes; check that it is the right file");
  };
  check(file.size());
  std::string content;
  content.reserve(file.size());
  char buffer[1 << 16];
  while (const size_t count = file.read(buffer)) {
    check(content.size() + count);
    content.append(buffer, count);
  }
  return content;
}

void write_file_atomically(const std::filesystem::path& path, std::span<const std::string_view> parts) {
  Temporary temporary(path);
  if (const int error = temporary.create(); error != 0) fail(path, "create a temporary file beside it", error);
  Descriptor file(temporary.path, O_WRONLY);
  if (!file.valid()) fail(path, "write", errno);
  fchmod(file.get(), 0644);  // mkostemp gives only the owner access
  for (const std::string_view part : parts) write_all(file.get(), part, path);
  if (fsync(file.get()) != 0) fail(path, "write", errno);
  if (file.close() != 0) fail(path, "write", errno);
  if (rename(temporary.path.c_str(), path.c_str()) != 0) fail(path, "replace", errno);
  temporary.left = false;
  const Descriptor directory(parent_folder(path), O_RDONLY | O_DIRECTORY);
  // The new file is in place. If a file system cannot sync folders, only its name might not survive a power cut.
  if (directory.valid()) fsync(directory.get());
}

std::error_code temporary_file_error(const std::filesystem::path& path) {
  return {Temporary(path).create(), std::generic_category()};
}

bool is_there(const std::filesystem::path& path) noexcept {
  std::error_code unreadable;
  return std::filesystem::exists(path, unreadable) || unreadable;
}

std::filesystem::path parent_folder(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

void sync_folder(const std::filesystem::path& path) {
  const Descriptor folder(path, O_RDONLY | O_DIRECTORY);
  if (!folder.valid()) fail(path, "open", errno);
  fsync(folder.get());  // not every file system can; the rename is then as durable as possible
}

}  // namespace qing
