// The secret under which keys are hashed, in a file of its own.
#pragma once

#include <array>
#include <filesystem>
#include <string>

namespace qing::serve {

using Pepper = std::array<unsigned char, 32>;

/// IoError when the file is missing, short, or can be read by others than owner and group.
Pepper read_pepper(const std::filesystem::path& file);
/// Reads the file, or makes it from random bytes, with mode 0600: whole and on the disk, or not at all, also when
/// several processes make it at once.
Pepper make_pepper(const std::filesystem::path& file);

/// Writes a copy of a pepper, with mode 0600: whole and on the disk, or not at all. Nothing happens when the file has
/// it already. DataError when another pepper is there: the keys of its store would be lost with it.
void write_pepper(const std::filesystem::path& file, const Pepper& pepper);

/// Random bytes, in hexadecimal digits.
std::string random_digits(std::size_t bytes);

}  // namespace qing::serve
