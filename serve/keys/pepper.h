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

/// Random bytes, in hexadecimal digits.
std::string random_digits(std::size_t bytes);

}  // namespace qing::serve
