// Copies a model as the next version of another.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <qing/serve/registry/registry_state.h>

namespace qing::serve {

/// A version on its way: a folder that becomes a version of the model for good with keep(), and is removed otherwise. A
/// process that is killed before leaves its mark (model_folders.h), by which remove_interrupted_versions() knows it.
/// Several processes may make versions of one model: the second waits until the first is kept or gone. Not thread-safe.
class NewVersion {
 public:
  /// Copies the files of a version to ROOT/NAME/N, where N is `lowest` or the first number above it that is free. The
  /// copy is whole and on the disk before it has its name. What a crash left of an earlier copy is removed. IoError,
  /// with nothing left behind; DataError for a source that holds anything but folders and files.
  NewVersion(const std::filesystem::path& source, const std::filesystem::path& root, const std::string& name,
             std::int64_t lowest);
  /// Removes the version unless it was kept.
  ~NewVersion();
  NewVersion(const NewVersion&) = delete;
  NewVersion& operator=(const NewVersion&) = delete;

  std::int64_t number() const { return number_; }
  /// IoError; the destructor removes the version then.
  void keep();

 private:
  void place(std::int64_t lowest);
  void withdraw() noexcept;

  const std::filesystem::path model_;
  std::unique_ptr<RegistryLock> lock_;  // one copy at a time, so that a draft without a lock is a leftover
  std::int64_t number_ = 0;
  bool kept_ = false;
};

/// Removes the versions that killed processes have left on their way in a model's folder. `withdraw` is called with the
/// number of each before it is removed. Waits for other processes that make a version of the model. IoError.
void remove_interrupted_versions(const std::filesystem::path& model, const std::function<void(std::int64_t)>& withdraw);

}  // namespace qing::serve
