// The tables of a state's database.
#pragma once

#include <array>
#include <cstdint>

namespace qing::serve {

inline constexpr std::int64_t kSchemaVersion = 2;

/// kMigrations[i] turns the tables of version i into those of version i + 1. Times are seconds since 1970 (UTC).
extern const std::array<const char*, kSchemaVersion> kMigrations;

}  // namespace qing::serve
