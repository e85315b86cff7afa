#include <qing/serve/cli/shipped_model.h>

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include <qing/serve/registry/registry.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/folders.h>

namespace qing::serve::cli {

namespace fs = std::filesystem;

fs::path shipped_models() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  const fs::path built = folder / "share/qing/models", installed = folder.parent_path() / "share/qing/models";
  for (const fs::path& models : {built, installed}) {
    if (fs::is_directory(models, error)) return models;
  }
  throw IoError(
      fmt::format("the model that comes with qing is neither in {} nor in {}; give a model with --models or --model",
                  built.string(), installed.string()));
}

fs::path shipped_model(std::string_view name) {
  const fs::path versions = shipped_models() / name;
  int64_t highest = 0;
  std::error_code error;
  for (const fs::directory_entry& entry : entries_of(versions, error)) {
    highest = std::max(highest, version_of_name(entry.path().filename().string()).value_or(0));
  }
  if (highest == 0) {
    throw IoError(fmt::format("{}: has no version of the model; give a model with --model", versions.string()));
  }
  return versions / std::to_string(highest);
}

fs::path model_or_shipped(const fs::path& given, std::string_view name) {
  return given.empty() ? shipped_model(name) : given;
}

fs::path named_model(const fs::path& given) {
  std::error_code absent;
  return given == "shipped" && !fs::exists(given, absent) ? shipped_model() : given;
}

}  // namespace qing::serve::cli
