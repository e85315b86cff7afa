// Numbers of things in texts for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qing::serve {

/// "1 text", "2 texts". `many` is the plural where that is not `one` with an "s".
std::string how_many(std::uint64_t count, std::string_view one, std::string_view many = {});

}  // namespace qing::serve
