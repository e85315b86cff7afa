#pragma once

namespace qing::serve {

/// Of this library and of the command qing, such as "0.1.0".
extern const char* const kVersion;

}  // namespace qing::serve
