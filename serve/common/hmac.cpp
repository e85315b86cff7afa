#include "hmac.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <qing/tensor/errors.h>

namespace qing::serve {

std::array<unsigned char, 32> hmac_sha256(std::span<const unsigned char> secret, std::string_view text) {
  std::array<unsigned char, 32> out{};
  unsigned int size = 0;
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.data(), &size) == nullptr) {
    throw IoError("OpenSSL has no HMAC-SHA-256; check its configuration");
  }
  return out;
}

}  // namespace qing::serve
