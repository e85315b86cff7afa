// The folder NAME of a model repository, which holds model folders NAME/1, NAME/2, ..., given in place of one of them.
#pragma once

#include <filesystem>

namespace qing::nn {

/// IoError naming the versions in `folder`, and the folder of the last of them, if it holds any. Otherwise nothing.
void refuse_folder_of_versions(const std::filesystem::path& folder);

}  // namespace qing::nn
