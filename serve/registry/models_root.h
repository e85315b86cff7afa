// The folder that a server is given for its models.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace qing::serve {

/// A folder of NAME/VERSION/ folders; or the folder of one model, with its VERSION/ folders; or the folder of one
/// version, with its files. Which one is told by where the configuration of a model lies (config.json or modules.json)
/// when the object is made. A model of its own has the name of its folder. The version of a folder with files is the
/// folder's name, if that is a version, and the model then has the name of the folder above; else it is version 1.
/// Immutable, so it is thread-safe.
class ModelsRoot {
 public:
  ModelsRoot() = default;  ///< no folder
  /// A folder that is missing or cannot be read is one of NAME/VERSION/ folders. DataError for a model whose folder has
  /// no model's name.
  explicit ModelsRoot(std::filesystem::path folder);

  bool empty() const { return folder_.empty(); }
  const std::filesystem::path& folder() const { return folder_; }
  /// The name of the only model; empty: the folder is one of NAME/VERSION/ folders.
  const std::string& only() const { return only_; }
  /// Ascending; none for an unknown model. std::filesystem::filesystem_error.
  std::vector<std::int64_t> versions_of(const std::string& name) const;
  /// Where the versions of a model lie, and its limits.
  std::filesystem::path model_folder(const std::string& name) const;
  std::filesystem::path version_folder(const std::string& name, std::int64_t version) const;

 private:
  std::filesystem::path folder_;
  std::string only_;
  std::int64_t version_ = 0;  // of a folder with files
};

}  // namespace qing::serve
