#include <qing/nn/models/version_folders.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <system_error>
#include <vector>

#include <qing/nn/config_file.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::nn {

std::optional<int64_t> version_of_name(std::string_view text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value <= 0 || text.front() == '0') return std::nullopt;
  return value;
}

void refuse_folder_of_versions(const std::filesystem::path& folder) {
  std::error_code unreadable;
  std::vector<int64_t> versions;
  for (const auto& entry : entries_of(folder, unreadable)) {
    const std::optional<int64_t> version = version_of_name(entry.path().filename().string());
    if (version && is_there(entry.path() / kConfigFile)) versions.push_back(*version);
  }
  if (versions.empty()) return;
  std::ranges::sort(versions);
  throw IoError(fmt::format("{}: is no model folder; it holds version{} {}; give {}", folder.string(),
                            versions.size() == 1 ? "" : "s", fmt::join(versions, ", "),
                            (folder / std::to_string(versions.back())).string()));
}

}  // namespace qing::nn
