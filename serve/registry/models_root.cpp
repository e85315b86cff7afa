#include "models_root.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/registry/model_folders.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

bool holds_files_of_a_model(const fs::path& folder) {
  std::error_code unreadable;
  return fs::is_regular_file(folder / "config.json", unreadable) ||
         fs::is_regular_file(folder / "modules.json", unreadable);
}

// NAME/VERSION/ has its files one level lower.
bool holds_versions_of_a_model(const fs::path& folder) {
  std::error_code unreadable;
  const std::vector<fs::directory_entry> entries = entries_of(folder, unreadable);
  return std::ranges::any_of(entries, [](const fs::directory_entry& entry) {
    return version_of_name(entry.path().filename().string()) && holds_files_of_a_model(entry.path());
  });
}

}  // namespace

ModelsRoot::ModelsRoot(fs::path folder) : folder_(std::move(folder)) {
  if (folder_.empty()) return;
  const bool files = holds_files_of_a_model(folder_);
  if (!files && !holds_versions_of_a_model(folder_)) return;
  fs::path named = fs::absolute(folder_).lexically_normal();
  if (named.filename().empty()) named = named.parent_path();  // after a slash at the end
  only_ = named.filename().string();
  if (files) {
    const std::string above = named.parent_path().filename().string();
    const auto number = version_of_name(only_);
    version_ = number.value_or(1);
    if (number && is_model_name(above)) only_ = above;
  }
  if (!is_model_name(only_)) {
    throw DataError(
        fmt::format("models folder {}: holds one model, whose name would be that of its folder, which is no model's "
                    "name: 1 to 128 of A-Z a-z 0-9 . _ -; rename the folder",
                    folder_.string()));
  }
}

std::vector<std::int64_t> ModelsRoot::versions_of(const std::string& name) const {
  if (empty() || !is_model_name(name) || (!only_.empty() && name != only_)) return {};
  return version_ != 0 ? std::vector<std::int64_t>{version_} : versions_below(model_folder(name));
}

fs::path ModelsRoot::model_folder(const std::string& name) const { return only_.empty() ? folder_ / name : folder_; }

fs::path ModelsRoot::version_folder(const std::string& name, std::int64_t version) const {
  if (only_ == name && version == version_) return folder_;
  return model_folder(name) / std::to_string(version);
}

}  // namespace qing::serve
