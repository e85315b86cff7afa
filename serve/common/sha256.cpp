#include "sha256.h"

#include <array>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <openssl/evp.h>

#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace {

class Digest {
 public:
  Digest() { need(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1); }
  void add(std::string_view bytes) { need(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1); }
  std::string text() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned length = 0;
    need(EVP_DigestFinal_ex(context_.get(), bytes.data(), &length) == 1);
    std::string hex;
    for (unsigned i = 0; i < length; ++i) hex += fmt::format("{:02x}", bytes[i]);
    return hex;
  }

 private:
  static void need(bool good) {
    if (!good) throw IoError("SHA-256: OpenSSL does not compute it; check its configuration");
  }
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

}  // namespace

std::string sha256_of(const std::filesystem::path& file) {
  Digest digest;
  FileReader reader(file);
  std::vector<char> buffer(1 << 16);
  while (const size_t count = reader.read(buffer)) digest.add({buffer.data(), count});
  return digest.text();
}

std::string sha256_of_bytes(std::string_view bytes) {
  Digest digest;
  digest.add(bytes);
  return digest.text();
}

}  // namespace qing::serve
