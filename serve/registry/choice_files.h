// Where the choices of a registry with two roots are kept.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include <qing/serve/registry/registry_state.h>

namespace qing::serve {

/// Each root has a file `.registry.json` with the choices, aliases and trials of its own models. Servers that share a
/// root therefore share these, whatever their other root is. A model with versions below both roots belongs to the
/// second. Thread-safe.
class ChoiceFiles {
 public:
  static constexpr const char* kFile = ".registry.json";

  ChoiceFiles() = default;
  /// `second` may be empty, and need not exist yet.
  ChoiceFiles(std::filesystem::path first, std::filesystem::path second);

  /// What both files hold. Until a model of the second root is chosen there, its choice in the first file counts.
  /// IoError, DataError.
  RegistryState read() const;
  /// Reads both files again, since another server may have changed them, calls `change`, writes what differs, and
  /// returns the result. No other server changes them meanwhile. A first root that cannot be written is an IoError only
  /// if the change is about its models. On an error nothing is written; exceptions of `change` are passed on.
  RegistryState change(const std::function<void(RegistryState&)>& change) const;

 private:
  bool in_second(const std::string& model) const;
  RegistryState of_second(const RegistryState& all, bool wanted) const;
  RegistryState read_second() const;

  std::filesystem::path first_, second_;
};

}  // namespace qing::serve
