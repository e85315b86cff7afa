// Limits of requests with pictures, which the description of a model states.
#pragma once

#include <cstddef>

namespace qing::serve {

/// Pictures of one request; above: 422.
inline constexpr size_t kMostPictures = 64;

}  // namespace qing::serve
