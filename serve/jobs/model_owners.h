// Whose the models are that jobs made.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/serve/common/database.h>
#include <qing/serve/state/state.h>

namespace qing::serve {

/// The state's table of private models, and a copy of it in memory for lookups. Thread-safe.
class ModelOwners {
 public:
  explicit ModelOwners(std::shared_ptr<const State> state) : state_(std::move(state)) {}

  /// The project of a private model.
  std::optional<std::string> of(std::string_view name) const;
  std::vector<std::string> names() const;
  /// Reads the table again. Models that another process has released stay private until drop() is called, since this
  /// one may still serve them. IoError, DataError.
  void refresh();
  std::vector<std::string> released() const;
  /// Forgets a released model.
  void drop(const std::string& name);
  /// Makes a model private before anyone can find it. IoError.
  void claim(Database& database, const std::string& name, const std::string& project, const std::string& job);
  /// Call it after the model's folder is gone. IoError.
  void release(Database& database, const std::string& name);

 private:
  const std::shared_ptr<const State> state_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, std::string, std::less<>> projects_, released_;
};

}  // namespace qing::serve
