// Where the choices of a registry with two roots are kept.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include <qing/serve/registry/registry_state.h>

namespace qing::serve {

/// Each root has a file `.registry.json` with the choices, aliases and trials of its own models. Servers that share a
/// root therefore share these, whatever their other root is. A model with versions below both roots belongs to the
/// second: what is chosen for it from then on lies there, and what the first file says of it remains for other servers.
/// Thread-safe.
class ChoiceFiles {
 public:
  static constexpr const char* kFile = ".registry.json";

  ChoiceFiles() = default;
  /// `second` may be empty, need not exist yet, and may be the first.
  ChoiceFiles(std::filesystem::path first, std::filesystem::path second);

  /// What both files hold. Until a model of the second root is chosen there, its choice in the first file counts.
  /// IoError, DataError.
  RegistryState read() const;
  /// Reads both files again, since another server may have changed them, calls `change`, writes what differs, and
  /// returns the result. No other server changes them meanwhile. A first root that cannot be written is an IoError only
  /// if the change is about its entries. On an error nothing has changed; exceptions of `change` are passed on.
  RegistryState change(const std::function<void(RegistryState&)>& change) const;
  /// Makes the file of a root forget a version that is to be removed: the version before it is chosen again, and its
  /// trial ends. IoError, DataError.
  static void withdraw(const std::filesystem::path& root, const std::string& name, std::int64_t version);

 private:
  bool in_second(const std::string& model) const;
  RegistryState read_second() const;
  RegistryState merged(const RegistryState& first, const RegistryState& second) const;
  template <class Map> void distribute(const Map& before, const Map& after, Map& first, Map& second) const;

  std::filesystem::path first_, second_;
};

}  // namespace qing::serve
