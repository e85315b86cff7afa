// Ids that nobody can guess.
#pragma once

#include <cstddef>
#include <string>

namespace qing::serve {

/// `count` random characters of A-Z a-z 0-9, from the system's generator. IoError when that fails. Thread-safe.
std::string random_characters(size_t count);

}  // namespace qing::serve
