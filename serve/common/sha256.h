// SHA-256 (FIPS 180-4), as text.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace qing::serve {

/// The digest of a file's bytes as 64 hexadecimal digits. IoError.
std::string sha256_of(const std::filesystem::path& file);
/// The digest of these bytes. IoError when OpenSSL has no SHA-256.
std::string sha256_of_bytes(std::string_view bytes);

}  // namespace qing::serve
