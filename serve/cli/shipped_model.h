// The model that comes with qing, for commands without a given model.
#pragma once

#include <filesystem>

namespace qing::serve::cli {

/// Returns the folder of models beside the executable: share/qing/models in the build folder, ../share/qing/models when
/// installed. IoError with both paths when neither exists.
std::filesystem::path shipped_models();
/// Returns the folder of the highest version of emotion_analysis there. IoError without any version.
std::filesystem::path shipped_model();
/// Returns `given`, or shipped_model() if `given` is empty.
std::filesystem::path model_or_shipped(const std::filesystem::path& given);
/// Returns shipped_model() for the name "shipped", unless there is a folder of that name, and any other path as it is.
std::filesystem::path named_model(const std::filesystem::path& given);

}  // namespace qing::serve::cli
