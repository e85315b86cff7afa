#include <qing/nn/staged_directory.h>

#include <unistd.h>

#include <string>
#include <system_error>
#include <vector>

#include <qing/tensor/errors.h>

namespace qing::nn {
namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const fs::path& path, const char* what, const std::error_code& error) {
  throw IoError(path.string() + ": cannot " + what + ": " + error.message());
}

}  // namespace

StagedDirectory::StagedDirectory(fs::path directory)
    : directory_(std::move(directory)), staging_(directory_ / (".staged-" + std::to_string(getpid()))) {
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error) fail(directory_, "create the folder", error);
  fs::remove_all(staging_, error);  // of a process that had the same number and was killed
  fs::create_directory(staging_, error);
  if (error) fail(staging_, "create the folder", error);
}

StagedDirectory::~StagedDirectory() {
  std::error_code ignored;
  fs::remove_all(staging_, ignored);
}

void StagedDirectory::commit() {
  std::error_code error;
  std::vector<fs::path> names;
  for (const auto& entry : fs::directory_iterator(staging_, error)) names.push_back(entry.path().filename());
  if (error) fail(staging_, "list", error);
  for (const fs::path& name : names) {
    fs::rename(staging_ / name, directory_ / name, error);
    if (error) fail(directory_ / name, "replace", error);
  }
}

}  // namespace qing::nn
