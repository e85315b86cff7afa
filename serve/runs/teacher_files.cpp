#include <qing/serve/runs/teacher_files.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include <qing/nn/formats/open_weights.h>
#include <qing/serve/common/sha256.h>
#include <qing/serve/common/usage_error.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;

std::optional<int32_t> place_of(const fs::path& file, std::span<const fs::path> files) {
  for (size_t i = 0; i < files.size(); ++i) {
    std::error_code absent;
    if (files[i] == file || fs::equivalent(files[i], file, absent)) return static_cast<int32_t>(i);
  }
  return std::nullopt;
}

// The folder, and the place of the file that it is for. A folder's name may hold "=" too.
std::pair<fs::path, std::optional<int32_t>> parsed(const std::string& text, std::span<const fs::path> files) {
  std::error_code absent;
  if (fs::is_directory(text, absent)) return {text, std::nullopt};
  for (size_t at = text.find('='); at != std::string::npos; at = text.find('=', at + 1)) {
    if (const auto place = place_of(text.substr(at + 1), files)) return {text.substr(0, at), place};
  }
  if (text.find('=') == std::string::npos) return {text, std::nullopt};
  std::vector<std::string> names;
  for (const fs::path& file : files) names.push_back(file.string());
  throw UsageError(
      fmt::format("--teacher {}: what follows = is none of the files to train on: {}", text, fmt::join(names, ", ")));
}

}  // namespace

void resolve_teachers(optim::TrainOptions& options, std::span<const fs::path> files) {
  std::vector<fs::path> folders;
  std::vector<std::vector<int32_t>> groups;
  for (const fs::path& given : options.teachers) {
    const auto [folder, place] = parsed(given.string(), files);
    const auto found = std::ranges::find(folders, folder);
    const auto at = static_cast<size_t>(found - folders.begin());
    if (found == folders.end() || !place || groups[at].empty()) {  // a folder for all texts counts each time
      folders.push_back(folder);
      groups.push_back(place ? std::vector{*place} : std::vector<int32_t>{});
    } else if (std::ranges::count(groups[at], *place) == 0) {
      groups[at].push_back(*place);
    }
  }
  options.teachers = std::move(folders);
  options.teacher_groups = std::move(groups);
}

void check_teacher_cache(const fs::path& file) {
  const auto refuse = [&](const std::string& why) {
    throw IoError(
        fmt::format("--teacher-cache {}: {}; give a file in a folder that can be written", file.string(), why));
  };
  std::error_code absent;
  if (fs::is_directory(file, absent)) refuse("is a folder");
  if (is_there(file)) return;
  if (const auto error = temporary_file_error(file)) refuse(fmt::format("cannot be made: {}", error.message()));
}

std::vector<DataFile> teacher_files(std::span<const fs::path> folders) {
  std::vector<DataFile> found;
  for (const fs::path& folder : folders) {
    found.push_back({.path = folder.string(), .sha256 = sha256_of(nn::open_weights(folder).path()), .label_texts = {}});
  }
  return found;
}

}  // namespace qing::serve::cli
