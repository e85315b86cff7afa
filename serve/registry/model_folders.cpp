#include "model_folders.h"

#include <algorithm>
#include <string>

#include <qing/serve/common/characters.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;

bool is_model_name(std::string_view name) {
  if (name.empty() || name.size() > 128 || name.front() == '.') return false;
  return has_only(name, is_alphanumeric, "._-");
}

std::vector<std::int64_t> versions_below(const fs::path& folder) {
  std::vector<std::int64_t> versions;
  if (!fs::is_directory(folder)) return versions;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    const auto version = version_of_name(entry.path().filename().string());
    if (version && entry.is_directory()) versions.push_back(*version);
  }
  std::sort(versions.begin(), versions.end());
  return versions;
}

fs::path mark_of(const fs::path& model, std::int64_t version) {
  return model / (std::string(kVersionMark) + std::to_string(version));
}

}  // namespace qing::serve
