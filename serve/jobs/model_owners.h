// Whose the models are that jobs made.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>

#include <qing/serve/common/database.h>
#include <qing/serve/state/state.h>

namespace qing::serve {

/// The state's table of private models, and a copy of it in memory for lookups. Thread-safe.
class ModelOwners {
 public:
  explicit ModelOwners(std::shared_ptr<const State> state) : state_(std::move(state)) {}

  /// The project of a private model.
  std::optional<std::string> of(std::string_view name) const;
  std::map<std::string, std::string, std::less<>> all() const;  ///< projects by model
  /// Reads the table again. IoError, DataError.
  void refresh();
  /// Makes a model private before anyone can find it. IoError.
  void claim(Database& database, const std::string& name, const std::string& project, const std::string& job);
  /// Call it after the model's folder is gone. IoError.
  void release(Database& database, const std::string& name);

 private:
  const std::shared_ptr<const State> state_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, std::string, std::less<>> projects_;
};

}  // namespace qing::serve
