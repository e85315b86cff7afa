// The choices, aliases and trials of models, in a file that survives restarts.
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
  std::int64_t version = 0;  ///< 0: the active version
  bool operator==(const Alias&) const = default;
};

/// A version of a model on trial beside the active version.
struct Trial {
  std::int64_t version = 0;
  double share = 0;     ///< fraction of the callers, in (0, 1]
  bool shadow = false;  ///< it receives copies of requests, and its predictions are only compared
  /// The active version receives copies of the requests that this one answers, and the answers are compared.
  bool compare = false;
  bool by_request = false;  ///< the share is one of requests, not of callers
  bool operator==(const Trial&) const = default;
};

/// Which version of a model an administrator chose.
struct Choice {
  std::int64_t version = 0;   ///< 0: the model is unloaded
  std::int64_t previous = 0;  ///< the active version before this one; 0: none
  std::int64_t highest = 0;   ///< the highest version at that time; a higher one added later overrides
  bool operator==(const Choice&) const = default;
};

/// Not thread-safe.
struct RegistryState {
  std::map<std::string, Choice, std::less<>> models;
  std::map<std::string, Alias, std::less<>> aliases;
  std::map<std::string, Trial, std::less<>> trials;  ///< by model

  /// The state in `file`, or an empty one without such a file. IoError and DataError name the file.
  static RegistryState read(const std::filesystem::path& file);
  /// Replaces the file atomically: a reader sees the old or the new state, also after a crash. IoError.
  void write(const std::filesystem::path& file) const;
  bool operator==(const RegistryState&) const = default;
};

/// A lock on the state of a folder, held while it is read, changed and written. It keeps servers that share the folder
/// from undoing each other's changes. The constructor waits for the holder. The lock ends with its process.
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
