// API keys of a plain file, known to the process only as keyed digests.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <qing/serve/keys/gatekeeper.h>

namespace qing::serve {

/// A set of accepted keys. What stays of them after loading is their HMAC-SHA-256 under a secret drawn at start, so
/// that the time of a comparison tells nothing of a key. Each may do everything, without quotas or accounts: those need
/// a KeyStore.
class ApiKeys : public Gatekeeper {
 public:
  static constexpr std::size_t kMinKeyBytes = 16;
  static constexpr std::size_t kMaxKeyBytes = 512;

  /// One key a line; blank lines and lines that begin with # are skipped. IoError when the file cannot be read,
  /// DataError ("file:line") on a key that is too short, too long or holds spaces, and on a file without keys.
  /// A file that every user of the machine can read is logged as a warning.
  static ApiKeys from_file(const std::filesystem::path& file);

  /// Takes as long whichever key it is, or none. The id is the key's place in the file.
  std::string admit(std::string_view key, Scope scope) override;
  void charge_tokens(const std::string&, std::int64_t) override {}
  std::size_t size() const { return digests_.size(); }

 private:
  using Digest = std::array<unsigned char, 32>;
  ApiKeys();
  Digest digest(std::string_view key) const;

  std::array<unsigned char, 32> secret_;
  std::vector<Digest> digests_;
};

}  // namespace qing::serve
