// What the system says of this process.
#pragma once

#include <cstdint>

namespace qing::serve {

/// Bytes of memory that the process occupies now; 0 if the system does not tell.
std::uint64_t resident_bytes();
/// When the process began, in seconds since 1970 (UTC); 0 if the system does not tell.
double process_start_seconds();

}  // namespace qing::serve
