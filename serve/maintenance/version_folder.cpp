#include "version_folder.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include <qing/serve/maintenance/durable_copy.h>
#include <qing/serve/registry/model_folders.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

constexpr const char* kIncoming = ".incoming";

// The version disappears in one step. Its mark is removed last, so that the next start can finish after a crash.
void remove_version(const fs::path& model, std::int64_t version) {
  const fs::path aside = model / kIncoming, place = model / std::to_string(version);
  remove_tree(aside);
  if (is_there(place)) fs::rename(place, aside);
  sync_folder(model);
  remove_tree(aside);
  fs::remove(mark_of(model, version));
}

}  // namespace

NewVersion::NewVersion(const fs::path& source, const fs::path& root, const std::string& name, std::int64_t lowest)
    : model_(root / name) {
  std::error_code error;
  fs::create_directories(model_, error);
  if (error) throw IoError(fmt::format("{}: {}", model_.string(), error.message()));
  sync_folder(root);
  lock_ = std::make_unique<RegistryLock>(model_);
  remove_tree(model_ / kIncoming, error);
  try {
    copy_folder(source, model_ / kIncoming);
    place(lowest);
  } catch (...) {
    remove_tree(model_ / kIncoming, error);
    withdraw();
    throw;
  }
}

void NewVersion::withdraw() noexcept {
  if (number_ == 0) return;
  try {
    remove_version(model_, number_);
  } catch (const std::exception&) {
    // Its mark is still there, so the next start removes it.
  }
}

// Gives the copy the first free number.
void NewVersion::place(std::int64_t lowest) {
  for (std::int64_t version = lowest;; ++version) {
    std::error_code error;
    const fs::path place = model_ / std::to_string(version), mark = mark_of(model_, version);
    if (fs::exists(place, error)) continue;
    if (error) throw IoError(fmt::format("{}: {}", place.string(), error.message()));
    fs::remove(mark, error);
    try {
      write_new_file(mark, [] { return std::span<const char>(); });
      sync_folder(model_);
    } catch (...) {
      ::unlink(mark.c_str());
      throw;
    }
    // A rename would replace an empty folder, which is no version either.
    if (std::rename((model_ / kIncoming).c_str(), place.c_str()) == 0) {
      number_ = version;  // only now is the folder of this number the one to withdraw
      sync_folder(model_);
      return;
    }
    const int why = errno;
    ::unlink(mark.c_str());
    if (why != ENOTEMPTY && why != EEXIST) throw IoError(fmt::format("{}: {}", place.string(), std::strerror(why)));
  }
}

NewVersion::~NewVersion() {
  if (!kept_) withdraw();
}

void NewVersion::keep() {
  const fs::path mark = mark_of(model_, number_);
  if (::unlink(mark.c_str()) != 0) throw IoError(fmt::format("{}: {}", mark.string(), std::strerror(errno)));
  kept_ = true;
  try {
    sync_folder(model_);
  } catch (const std::exception&) {
    // The version is served. Only if the machine fails now does the mark come back, and the next start removes both.
  }
}

void remove_interrupted_versions(const fs::path& model, const std::function<void(std::int64_t)>& withdraw) {
  const auto marked = [&model] {
    std::vector<std::int64_t> versions;
    std::error_code none;
    for (const fs::directory_entry& entry : entries_of(model, none)) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with(kVersionMark)) continue;
      if (const auto version = version_of_name(std::string_view(name).substr(kVersionMark.size()))) {
        versions.push_back(*version);
      }
    }
    return versions;
  };
  if (marked().empty() && !is_there(model / kIncoming)) return;
  const RegistryLock lock(model);
  try {
    // Read again: another process may have kept its version since.
    for (const std::int64_t version : marked()) {
      withdraw(version);
      remove_version(model, version);
    }
    remove_tree(model / kIncoming);
  } catch (const fs::filesystem_error& error) {
    throw IoError(fmt::format("{}: {}", error.path1().string(), error.code().message()));
  }
}

}  // namespace qing::serve
