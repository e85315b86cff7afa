// The folder NAME of a model repository, which holds model folders NAME/1, NAME/2, ..., given in place of one of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

namespace qing::nn {

/// A version is a positive decimal number without leading zeros: "1", not "01", "v1" or "1.0".
std::optional<int64_t> version_of_name(std::string_view text);

/// IoError naming the versions in `folder`, and the folder of the last of them, if it holds any. Otherwise nothing.
void refuse_folder_of_versions(const std::filesystem::path& folder);

}  // namespace qing::nn
