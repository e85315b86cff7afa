// API keys from a plain file, kept in memory only as keyed digests.
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

/// A set of accepted keys. Only their HMAC-SHA-256 under a random secret of this process is kept, so the time of a
/// comparison reveals nothing about a key. Each key has every scope. Quotas and usage counts need a KeyStore.
/// Immutable once made, so it is thread-safe.
class ApiKeys : public Gatekeeper {
 public:
  static constexpr size_t kMinKeyBytes = 16;
  static constexpr size_t kMaxKeyBytes = 512;

  /// Reads one key per line, skipping blank lines and lines that begin with #. IoError when the file cannot be read.
  /// DataError ("file:line") for a key that is too short, too long or has spaces, and for a file without keys. A
  /// world-readable file logs a warning.
  static ApiKeys from_file(const std::filesystem::path& file);

  /// Constant time for every key, valid or not. The id is the position of the key in the file.
  std::string admit(std::string_view key, Scope scope) override;
  bool allows(const std::string&, Scope) const override { return true; }
  void charge_tokens(const std::string&, std::int64_t) override {}
  size_t size() const { return digests_.size(); }

 private:
  using Digest = std::array<unsigned char, 32>;
  ApiKeys();
  Digest digest(std::string_view key) const;

  std::array<unsigned char, 32> secret_;
  std::vector<Digest> digests_;
};

}  // namespace qing::serve
