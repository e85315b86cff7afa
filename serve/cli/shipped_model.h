// The models that come with qing, for commands without a given model.
#pragma once

#include <filesystem>
#include <string_view>

namespace qing::serve::cli {

/// Returns the folder of models beside the executable: share/qing/models in the build folder, ../share/qing/models when
/// installed. IoError with both paths when neither exists.
std::filesystem::path shipped_models();
/// The shipped model that classifies texts, and the one that translates them.
constexpr std::string_view kShippedClassifier = "emotion_analysis", kShippedTranslator = "translation";

/// Returns the folder of the highest version of a model there. IoError without any version.
std::filesystem::path shipped_model(std::string_view name = kShippedClassifier);
/// Returns `given`, or shipped_model(name) if `given` is empty.
std::filesystem::path model_or_shipped(const std::filesystem::path& given, std::string_view name = kShippedClassifier);
/// Returns shipped_model() for the name "shipped", unless there is a folder of that name, and any other path as it is.
std::filesystem::path named_model(const std::filesystem::path& given);

}  // namespace qing::serve::cli
