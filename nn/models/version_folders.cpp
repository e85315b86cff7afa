#include <qing/nn/models/version_folders.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::nn {

void refuse_folder_of_versions(const std::filesystem::path& folder) {
  std::error_code unreadable;
  std::vector<int64_t> versions;
  for (const auto& entry : entries_of(folder, unreadable)) {
    const std::string name = entry.path().filename().string();
    int64_t version = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), version);
    if (error == std::errc() && std::to_string(version) == name && is_there(entry.path() / "config.json")) {
      versions.push_back(version);
    }
  }
  if (versions.empty()) return;
  std::ranges::sort(versions);
  throw IoError(fmt::format("{}: is no model folder; it holds version{} {}; give {}", folder.string(),
                            versions.size() == 1 ? "" : "s", fmt::join(versions, ", "),
                            (folder / std::to_string(versions.back())).string()));
}

}  // namespace qing::nn
