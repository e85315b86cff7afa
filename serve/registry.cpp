#include "registry.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include <qing/tensor/errors.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

// A version is a plain positive number: "1", not "01", "v1" or "1.0"; other folders (".tmp", "notes") are no versions.
std::optional<std::int64_t> parse_version(const std::string& text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value <= 0 || text.front() == '0') return std::nullopt;
  return value;
}

std::vector<std::int64_t> versions_below(const fs::path& folder) {
  std::vector<std::int64_t> versions;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const auto version = parse_version(entry.path().filename().string());
    if (version && entry.is_directory()) versions.push_back(*version);
  }
  std::sort(versions.begin(), versions.end());
  return versions;
}

}  // namespace

Registry::Registry(fs::path root, Loader loader) : root_(std::move(root)), loader_(std::move(loader)) {}

bool Registry::valid_name(std::string_view name) {
  if (name.empty() || name.size() > 128 || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

void Registry::load() {
  std::map<std::string, Model, std::less<>> loaded;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(root_)) {
      const std::string name = entry.path().filename().string();
      if (!entry.is_directory() || !valid_name(name)) continue;
      Model model{name, 0, versions_below(entry.path()), nullptr};
      if (model.versions.empty()) continue;
      model.version = model.versions.back();
      model.classifier = loader_(entry.path() / std::to_string(model.version));
      if (!model.classifier) throw DataError(fmt::format("{}: the loader gave no model", entry.path().string()));
      loaded.emplace(name, std::move(model));
    }
  } catch (const fs::filesystem_error& error) {
    throw IoError(fmt::format("models folder {}: {}; give a readable folder that holds <name>/<version number>/",
                              root_.string(), error.code().message()));
  }
  if (loaded.empty()) {
    throw DataError(fmt::format("models folder {}: no model in it; one lies in <name>/<version number>/, such as {}",
                                root_.string(), (root_ / "emotion_analysis" / "1").string()));
  }
  const std::lock_guard lock(mutex_);
  models_.swap(loaded);
}

void Registry::add(const std::string& name, std::int64_t version,
                   std::shared_ptr<const nn::TextClassifier> classifier) {
  if (!valid_name(name)) {
    throw ValueError(fmt::format("Registry::add: model name '{}'; use 1 to 128 of A-Z a-z 0-9 . _ -, "
                                 "the first not a dot", name));
  }
  if (version <= 0) {
    throw ValueError(fmt::format("Registry::add: version {} of {}; versions start at 1", version, name));
  }
  if (!classifier) throw ValueError(fmt::format("Registry::add: null classifier for {}; load one first", name));
  const std::lock_guard lock(mutex_);
  models_.insert_or_assign(name, Model{name, version, {version}, std::move(classifier)});
}

std::optional<Model> Registry::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = models_.find(name);
  if (found == models_.end()) return std::nullopt;
  return found->second;
}

std::vector<Model> Registry::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<Model> all;
  all.reserve(models_.size());
  for (const auto& [name, model] : models_) all.push_back(model);
  return all;
}

bool Registry::ready() const {
  const std::lock_guard lock(mutex_);
  return !models_.empty();
}

}  // namespace qing::serve
