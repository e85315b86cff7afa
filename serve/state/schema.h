// The tables of a state's database.
#pragma once

#include <array>

#include <qing/serve/state/state.h>

namespace qing::serve {

/// kMigrations[i] turns the tables of version i into those of version i + 1. Times are seconds since 1970 (UTC).
extern const std::array<const char*, State::kVersion> kMigrations;

}  // namespace qing::serve
