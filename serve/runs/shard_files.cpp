#include <qing/serve/runs/shard_files.h>

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <system_error>

#include <qing/serve/common/usage_error.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;

const std::set<std::string> kTables = {".tsv", ".tab", ".csv", ".jsonl", ".ndjson", ".json", ".txt", ".xlsx"};

std::vector<fs::path> tables_in(const fs::path& folder) {
  std::error_code error;
  const auto entries = entries_of(folder, error);
  if (error) throw IoError(fmt::format("{}: cannot read the folder: {}", folder.string(), error.message()));
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : entries) {
    const fs::path& path = entry.path();
    const bool hidden = path.filename().string().starts_with('.');
    if (!hidden && entry.is_regular_file() && kTables.contains(path.extension().string())) files.push_back(path);
  }
  std::ranges::sort(files, {}, [](const fs::path& path) { return path.string(); });
  if (files.empty()) {
    throw UsageError(fmt::format("--data {}: the folder has no table, such as .tsv, .csv or .jsonl", folder.string()));
  }
  return files;
}

std::vector<fs::path> matches_of(const fs::path& pattern) {
  glob_t found{};
  const std::unique_ptr<glob_t, void (*)(glob_t*)> freed(&found, globfree);
  const int code = glob(pattern.c_str(), GLOB_ERR | GLOB_NOSORT, nullptr, &found);
  if (code != 0 && code != GLOB_NOMATCH) {
    throw IoError(fmt::format("{}: cannot read the folders of the pattern", pattern.string()));
  }
  std::vector<fs::path> files(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  std::erase_if(files, [](const fs::path& path) { return !fs::is_regular_file(path); });
  std::ranges::sort(files, {}, [](const fs::path& path) { return path.string(); });
  if (files.empty()) throw UsageError(fmt::format("--data {}: no file matches the pattern", pattern.string()));
  return files;
}

}  // namespace

std::vector<fs::path> shard_files(std::span<const fs::path> given) {
  std::vector<fs::path> files;
  for (const fs::path& path : given) {
    std::error_code absent;
    std::vector<fs::path> some = {path};
    if (fs::is_directory(path, absent)) {
      some = tables_in(path);
    } else if (path.string().find_first_of("*?[") != std::string::npos && !is_there(path)) {
      some = matches_of(path);
    }
    files.insert(files.end(), some.begin(), some.end());
  }
  return files;
}

}  // namespace qing::serve::cli
