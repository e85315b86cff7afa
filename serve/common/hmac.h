// Keyed digests.
#pragma once

#include <array>
#include <span>
#include <string_view>

namespace qing::serve {

/// HMAC-SHA-256 (RFC 2104) of a text under a secret. IoError if OpenSSL does not provide it. Thread-safe.
std::array<unsigned char, 32> hmac_sha256(std::span<const unsigned char> secret, std::string_view text);

}  // namespace qing::serve
