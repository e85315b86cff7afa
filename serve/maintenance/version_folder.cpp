#include "version_folder.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include <qing/serve/maintenance/durable_copy.h>
#include <qing/serve/registry/registry_state.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

// Folders that begin with a dot are no versions.
constexpr const char* kDraft = ".incoming";

}  // namespace

std::int64_t copy_version(const fs::path& source, const fs::path& root, const std::string& name, std::int64_t lowest) {
  const fs::path model = root / name;
  std::error_code error;
  fs::create_directories(model, error);
  if (error) throw IoError(fmt::format("{}: {}", model.string(), error.message()));
  sync_folder(root);
  // One copy at a time into a model's folder, so that a draft without a lock is a leftover.
  const RegistryLock lock(model);
  const fs::path draft = model / kDraft;
  fs::remove_all(draft, error);
  try {
    copy_folder(source, draft);
    for (std::int64_t version = lowest;; ++version) {
      const fs::path place = model / std::to_string(version);
      if (fs::exists(place, error)) continue;
      // A rename would replace an empty folder, which is no version either.
      if (std::rename(draft.c_str(), place.c_str()) == 0) {
        sync_folder(model);
        return version;
      }
      if (errno != ENOTEMPTY && errno != EEXIST) {
        throw IoError(fmt::format("{}: {}", place.string(), std::strerror(errno)));
      }
    }
  } catch (...) {
    fs::remove_all(draft, error);
    throw;
  }
}

}  // namespace qing::serve
