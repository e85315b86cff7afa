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
  int close() { return ::close(std::exchange(fd_, -1)); }  // tells of late write errors

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

// Removes the file unless it was renamed away.
struct Temporary {
  std::filesystem::path path;
  bool renamed = false;
  ~Temporary() {
    if (!renamed) unlink(path.c_str());
  }
};

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  const Descriptor file(path, O_RDONLY);
  if (!file.valid()) fail(path, "open", errno);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) fail(path, "read", errno);
  if (S_ISDIR(status.st_mode)) fail(path, "read", EISDIR);
  std::string content;
  content.reserve(static_cast<size_t>(status.st_size));
  char buffer[1 << 16];
  for (;;) {
    const ssize_t count = read(file.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path, "read", errno);
    if (count == 0) return content;
    content.append(buffer, static_cast<size_t>(count));
  }
}

void write_file_atomically(const std::filesystem::path& path, std::span<const std::string_view> parts) {
  std::string name = path.string() + ".tmp-XXXXXX";
  const int created = mkostemp(name.data(), O_CLOEXEC);
  if (created < 0) fail(path, "create a temporary file beside it", errno);
  Temporary temporary{name};
  ::close(created);
  Descriptor file(temporary.path, O_WRONLY);
  if (!file.valid()) fail(path, "write", errno);
  fchmod(file.get(), 0644);  // mkostemp leaves it to the owner alone
  for (const std::string_view part : parts) write_all(file.get(), part, path);
  if (fsync(file.get()) != 0) fail(path, "write", errno);
  if (file.close() != 0) fail(path, "write", errno);
  if (rename(temporary.path.c_str(), path.c_str()) != 0) fail(path, "replace", errno);
  temporary.renamed = true;
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const Descriptor directory(folder, O_RDONLY | O_DIRECTORY);
  // The new file is in place; only its name might not survive a power cut on a file system that cannot sync folders.
  if (directory.valid()) fsync(directory.get());
}

}  // namespace qing
