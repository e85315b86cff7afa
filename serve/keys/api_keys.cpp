#include "api_keys.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <qing/serve/common/hmac.h>
#include <qing/serve/common/log.h>
#include <qing/tensor/errors.h>

namespace qing::serve {

ApiKeys::ApiKeys() {
  if (RAND_bytes(secret_.data(), static_cast<int>(secret_.size())) != 1) {
    throw IoError("API keys: the system gave no random bytes; check that /dev/urandom works");
  }
}

ApiKeys::Digest ApiKeys::digest(std::string_view key) const { return hmac_sha256(secret_, key); }

ApiKeys ApiKeys::from_file(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) {
    throw IoError(fmt::format("{}: {}; give a readable file: a store made by qing keys create, or one key per line",
                              file.string(), std::strerror(errno)));
  }
  struct stat info {};
  if (::stat(file.c_str(), &info) == 0 && (info.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    log_line("warning", "keys_file_open_to_all", {{"file", file.string()}, {"remedy", "chmod 600"}});
  }
  ApiKeys keys;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos || line[first] == '#') continue;
    const std::string_view key = std::string_view(line).substr(first, line.find_last_not_of(" \t\r") + 1 - first);
    const bool plain = std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (!plain || key.size() < kMinKeyBytes || key.size() > kMaxKeyBytes) {
      throw DataError(fmt::format("{}:{}: not an API key; a key is {} to {} printable ASCII characters without spaces",
                                  file.string(), number, kMinKeyBytes, kMaxKeyBytes));
    }
    keys.digests_.push_back(keys.digest(key));
    OPENSSL_cleanse(line.data(), line.size());
  }
  if (in.bad()) throw IoError(fmt::format("{}: {}", file.string(), std::strerror(errno)));
  if (keys.digests_.empty()) {
    throw DataError(fmt::format("{}: has no API key; write one key per line, for example from: openssl rand -hex 32",
                                file.string()));
  }
  return keys;
}

std::string ApiKeys::admit(std::string_view key, Scope) {
  const Digest given = digest(key);
  size_t found = 0;
  // Every digest is compared, also after a match, so that the time does not reveal which one matched.
  for (size_t i = 0; i < digests_.size(); ++i) {
    found |= CRYPTO_memcmp(digests_[i].data(), given.data(), given.size()) == 0 ? i + 1 : 0;
  }
  if (found == 0) refuse_unknown();
  return fmt::format("key {}", found);
}

}  // namespace qing::serve
