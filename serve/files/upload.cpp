#include "upload.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace {

[[noreturn]] void fail_upload(const std::filesystem::path& path, const char* what) {
  throw IoError(fmt::format("{}: cannot {}: {}", path.string(), what, std::strerror(errno)));
}

void need(bool good) {
  if (!good) throw IoError("SHA-256: OpenSSL does not compute it; check its configuration");
}

}  // namespace

struct Upload::Digest {
  Digest() : context(EVP_MD_CTX_new()) {
    need(context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1);
  }
  ~Digest() { EVP_MD_CTX_free(context); }
  EVP_MD_CTX* context;
};

Upload::Upload(const std::filesystem::path& folder) : digest_(std::make_unique<Digest>()) {
  std::error_code error;
  if (std::filesystem::create_directories(folder, error); error) {
    throw IoError(fmt::format("{}: {}", folder.string(), error.message()));
  }
  // Another process that looks for leftovers may remove the file before it is locked.
  for (bool there = false; !there;) {
    std::string name = (folder / (std::string(kPrefix) + "XXXXXX")).string();
    file_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (file_ < 0) fail_upload(folder, "make a file");
    path_ = name;
    struct stat status {};
    there = ::flock(file_, LOCK_EX) == 0 && ::fstat(file_, &status) == 0 && status.st_nlink > 0;
    if (!there) ::close(file_);
  }
}

Upload::~Upload() {
  if (!kept_) ::unlink(path_.c_str());
  ::close(file_);
}

void Upload::write(std::string_view bytes) {
  need(EVP_DigestUpdate(digest_->context, bytes.data(), bytes.size()) == 1);
  bytes_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_upload(path_, "write");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void Upload::sync() {
  if (::fsync(file_) != 0) fail_upload(path_, "write");
}

void Upload::keep_as(const std::filesystem::path& path) {
  if (::rename(path_.c_str(), path.c_str()) != 0) fail_upload(path, "rename a file to this");
  try {
    sync_folder(path.parent_path());
  } catch (const IoError&) {
    ::rename(path.c_str(), path_.c_str());
    throw;
  }
  kept_ = true;
}

std::string Upload::sha256() const {
  Digest copy;
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned length = 0;
  need(EVP_MD_CTX_copy_ex(copy.context, digest_->context) == 1);
  need(EVP_DigestFinal_ex(copy.context, bytes.data(), &length) == 1);
  std::string hex;
  for (unsigned i = 0; i < length; ++i) hex += fmt::format("{:02x}", bytes[i]);
  return hex;
}

}  // namespace qing::serve
