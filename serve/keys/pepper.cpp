#include "pepper.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <qing/serve/common/draft.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file) {
  throw IoError(fmt::format("{}: {}", file.string(), std::strerror(errno)));
}

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& file, int flags) : fd_(::open(file.c_str(), flags | O_CLOEXEC, 0600)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator int() const { return fd_; }  // NOLINT: it is one

 private:
  int fd_;
};

void fill_random(unsigned char* bytes, size_t size) {
  if (RAND_bytes(bytes, static_cast<int>(size)) != 1) {
    throw IoError("API keys: the system gave no random bytes; check that /dev/urandom works");
  }
}

// Writes the pepper to the disk if there is no file. An existing file stays.
void place(const Pepper& pepper, const std::filesystem::path& file) {
  remove_abandoned_file_drafts(file);  // one that a kill has left holds a pepper, which is a secret
  const DraftFolder drafts(draft_place(file));
  const std::filesystem::path draft = drafts.path() / "pepper";
  const std::filesystem::path folder = parent_folder(file);
  {
    const Descriptor fd(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
    if (fd < 0) fail(draft);
    const bool written =
        ::write(fd, pepper.data(), pepper.size()) == static_cast<ssize_t>(pepper.size()) && ::fsync(fd) == 0;
    // Unlike a rename, a link never replaces a file. If several processes race, the first wins and all read its file.
    const bool linked = written && (::link(draft.c_str(), file.c_str()) == 0 || errno == EEXIST);
    if (!linked) fail(file);
  }
  const Descriptor directory(folder, O_RDONLY | O_DIRECTORY);
  if (directory < 0 || ::fsync(directory) != 0) fail(folder);
}

}  // namespace

std::string random_digits(size_t bytes) {
  std::vector<unsigned char> random(bytes);
  fill_random(random.data(), random.size());
  std::string digits;
  for (const unsigned char byte : random) digits += fmt::format("{:02x}", byte);
  return digits;
}

Pepper read_pepper(const std::filesystem::path& file) {
  const Descriptor fd(file, O_RDONLY | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT) {
    throw IoError(
        fmt::format("{}: is missing, and keys cannot be checked without it; restore it from a backup, or "
                    "remove the store and make new keys",
                    file.string()));
  }
  struct stat info {};
  if (fd < 0 || ::fstat(fd, &info) != 0) fail(file);
  if ((info.st_mode & S_IRWXO) != 0) {
    throw IoError(
        fmt::format("{}: everybody on this machine can read or write it; run chmod 600 on it", file.string()));
  }
  Pepper pepper;
  if (info.st_size != static_cast<off_t>(pepper.size()) ||
      ::read(fd, pepper.data(), pepper.size()) != static_cast<ssize_t>(pepper.size())) {
    throw IoError(fmt::format("{}: is not {} bytes long; restore it from a backup", file.string(), pepper.size()));
  }
  return pepper;
}

Pepper make_pepper(const std::filesystem::path& file) {
  Pepper pepper;
  fill_random(pepper.data(), pepper.size());
  place(pepper, file);
  return read_pepper(file);
}

void write_pepper(const std::filesystem::path& file, const Pepper& pepper) {
  place(pepper, file);
  if (read_pepper(file) == pepper) return;
  throw DataError(
      fmt::format("{}: is the pepper of another store, and replacing it would lose that store's keys; give another "
                  "name, or move it "
                  "away",
                  file.string()));
}

}  // namespace qing::serve
