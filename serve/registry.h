// The models a server offers: a folder <root>/<name>/<version number>/ for every version of every model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/models/text_classifier.h>

namespace qing::serve {

/// One model as served now.
struct Model {
  std::string name;
  std::int64_t version = 0;                                  ///< the version that answers
  std::vector<std::int64_t> versions;                        ///< all versions found, ascending
  std::shared_ptr<const nn::TextClassifier> classifier;      ///< never null
};

/// Safe to use from many threads. A Model handed out stays valid whatever happens to the registry afterwards.
class Registry {
 public:
  using Loader = std::function<std::shared_ptr<const nn::TextClassifier>(const std::filesystem::path&)>;

  /// An empty registry, to be filled with add().
  Registry() = default;
  /// A registry of the models below `root`; load() reads them. `loader` turns a version's folder into a classifier.
  explicit Registry(std::filesystem::path root, Loader loader = nn::TextClassifier::load);

  /// Reads the highest version of every model. IoError when the root cannot be read, DataError when it holds no model
  /// or a folder is not a model's, and what the loader throws. On error the models served before stay in place.
  void load();
  /// Offers a classifier made elsewhere; replaces a model of that name. ValueError on a bad name, version or null.
  void add(const std::string& name, std::int64_t version, std::shared_ptr<const nn::TextClassifier> classifier);

  std::optional<Model> find(std::string_view name) const;
  /// All models, by name.
  std::vector<Model> list() const;
  /// Whether there is a model to answer with.
  bool ready() const;

  /// 1 to 128 of the characters A-Z a-z 0-9 . _ - and not beginning with a dot: safe in an URL and as a folder.
  static bool valid_name(std::string_view name);

 private:
  std::filesystem::path root_;
  Loader loader_;
  mutable std::mutex mutex_;
  std::map<std::string, Model, std::less<>> models_;
};

}  // namespace qing::serve
