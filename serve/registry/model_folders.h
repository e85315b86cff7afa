// The names of models and versions as folders: NAME/VERSION.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include <qing/nn/models/version_folders.h>

namespace qing::serve {

/// 1 to 128 characters of A-Z a-z 0-9 . _ - without a leading dot: safe in a URL and as a folder name.
bool is_model_name(std::string_view name);
using nn::version_of_name;
/// The versions of a model's folder, ascending; none if it is not a folder. std::filesystem::filesystem_error.
std::vector<std::int64_t> versions_below(const std::filesystem::path& folder);

/// A version on its way has a mark beside it: a file of this name and the version's number. The registry takes the
/// version only when it is asked for it by its number. The choice or the trial that goes with a version is written
/// before its mark is removed.
constexpr std::string_view kVersionMark = ".promoting-";
std::filesystem::path mark_of(const std::filesystem::path& model, std::int64_t version);

}  // namespace qing::serve
