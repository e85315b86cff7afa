// The name of the file with a model's settings.
#pragma once

namespace qing::nn {

/// The file with the settings in a model's directory.
inline constexpr const char* kConfigFile = "config.json";

}  // namespace qing::nn
