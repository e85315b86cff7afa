// The secret for hashing keys, in a separate file.
#pragma once

#include <array>
#include <filesystem>
#include <string>

namespace qing::serve {

using Pepper = std::array<unsigned char, 32>;

/// IoError when the file is missing, too short, or readable by others than its owner and group.
Pepper read_pepper(const std::filesystem::path& file);
/// Reads the file, or creates it from random bytes with mode 0600. Creation is atomic and durable, also when several
/// processes create it at once.
Pepper make_pepper(const std::filesystem::path& file);

/// Writes a copy of a pepper with mode 0600, atomically and durably. Does nothing if the file already holds it.
/// DataError when the file holds another pepper, because replacing it would make the keys of its store useless.
void write_pepper(const std::filesystem::path& file, const Pepper& pepper);

/// Random bytes as hexadecimal digits.
std::string random_digits(size_t bytes);

}  // namespace qing::serve
