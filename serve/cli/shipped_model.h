// The model that comes with qing, for commands that are told of none.
#pragma once

#include <filesystem>

namespace qing::serve::cli {

/// The folder of models beside the executable: share/qing/models in the build folder, ../share/qing/models when
/// installed. IoError naming both when neither is there.
std::filesystem::path shipped_models();
/// The highest version of emotion_analysis there; IoError without any.
std::filesystem::path shipped_model();
/// `given`, or shipped_model() when that is empty.
std::filesystem::path model_or_shipped(const std::filesystem::path& given);

}  // namespace qing::serve::cli
