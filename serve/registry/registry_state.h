// What has been decided about the models, in a file that survives restarts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

namespace qing::serve {

/// Another name for a model, or for one version of it.
struct Alias {
  std::string model;
  std::int64_t version = 0;  ///< 0: the one that answers
};

/// Another version of a model on trial beside the one that answers.
struct Trial {
  std::int64_t version = 0;
  double share = 0;     ///< of the callers, in (0, 1]
  bool shadow = false;  ///< it gets copies of what they ask, and its answers are only compared
};

/// Which version of a model an administrator chose.
struct Choice {
  std::int64_t version = 0;   ///< 0: none, the model is unloaded
  std::int64_t previous = 0;  ///< answered before it; 0: none
  std::int64_t highest = 0;   ///< of the versions there were; a higher one that comes later goes before the choice
};

/// Not thread-safe.
struct RegistryState {
  std::map<std::string, Choice, std::less<>> models;
  std::map<std::string, Alias, std::less<>> aliases;
  std::map<std::string, Trial, std::less<>> trials;  ///< by model

  /// The state in `file`, or an empty one when there is no such file. IoError, DataError naming the file.
  static RegistryState read(const std::filesystem::path& file);
  /// Whoever reads meanwhile, or after a crash, finds the old state or the new one. IoError.
  void write(const std::filesystem::path& file) const;
};

/// Held while the state of a folder is read, changed and written, so that servers that share the folder do not undo
/// each other's changes. Waits for whoever holds it; a process that dies lets go of it.
class RegistryLock {
 public:
  /// IoError.
  explicit RegistryLock(const std::filesystem::path& folder);
  ~RegistryLock();
  RegistryLock(const RegistryLock&) = delete;
  RegistryLock& operator=(const RegistryLock&) = delete;

 private:
  int file_;
};

}  // namespace qing::serve
