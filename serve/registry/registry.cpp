#include "registry.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include <qing/nn/models/label_names.h>
#include <qing/nn/utf8.h>
#include <qing/serve/common/characters.h>
#include <qing/serve/common/log.h>
#include <qing/serve/registry/model_manifest.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

// A folder's name as UTF-8. Invalid bytes are written as \xHH.
std::string shown(const std::string& name) {
  std::string text;
  for (size_t position = 0; position < name.size();) {
    const size_t begin = position;
    if (nn::decode_utf8(name, position)) {
      text += name.substr(begin, position - begin);
    } else {
      text += fmt::format("\\x{:02X}", static_cast<unsigned char>(name[position++]));
    }
  }
  return text;
}

constexpr const char* kNoModelsName =
    "the folder's name is no model's name, which is 1 to 128 of A-Z a-z 0-9 . _ -; rename the folder";

// A lock, for example, that a promotion has left.
bool is_hidden(const fs::directory_entry& entry) { return entry.path().filename().string().starts_with('.'); }

// The reason why a folder that is not empty holds no model.
std::string no_version(const std::string& name) {
  if (is_model_name(name)) return fmt::format("holds no version; put the model into {}/1/", name);
  return fmt::format("holds no version; put the model into NAME/1/, and {}", kNoModelsName);
}

void add_versions(std::vector<std::int64_t>& all, const std::vector<std::int64_t>& more) {
  all.insert(all.end(), more.begin(), more.end());
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
}

}  // namespace

void Model::serve(std::shared_ptr<const nn::TaskModel> model) {
  classifier = std::dynamic_pointer_cast<const nn::TextClassifier>(model);
  served = std::move(model);
}

std::shared_ptr<const nn::TextClassifier> Model::candidate_classifier() const {
  return std::dynamic_pointer_cast<const nn::TextClassifier>(candidate);
}

Registry::Registry(fs::path root, Loader loader, fs::path second)
    : root_(std::move(root)),
      second_(std::move(second)),
      choices_(root_.folder(), second_),
      loader_(std::move(loader)) {}

// Finds models with at least one version. A folder that cannot be read is logged and skipped. A folder with an invalid
// name and a folder without a version, unless it has hidden entries alone, are skipped and added to `failures`. Names
// that begin with a dot are ignored.
void Registry::scan_folder(const fs::path& root, Found& found, Failures& failures) {
  try {
    for (const fs::directory_entry& entry : entries_of(root)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with('.')) continue;
      try {
        const std::vector<std::int64_t> versions = finished_below(entry.path());
        if (versions.empty()) {
          if (!versions_below(entry.path()).empty()) continue;
          if (entry.is_directory() && !std::ranges::all_of(entries_of(entry.path()), is_hidden)) {
            failures[shown(name)] = noted(shown(name), 0, no_version(name).c_str());
          }
        } else if (is_model_name(name)) {
          add_versions(found[name], versions);
        } else {
          failures[shown(name)] = noted(shown(name), versions.back(), kNoModelsName);
        }
      } catch (const fs::filesystem_error& error) {
        log_line("error", "folder_not_read",
                 {{"folder", shown(entry.path().string())}, {"error", error.code().message()}});
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw IoError(fmt::format("models folder {}: {}; give a readable folder that holds <name>/<version number>/",
                              root.string(), error.code().message()));
  }
}

// The versions of a model's folder that are not on their way.
std::vector<std::int64_t> Registry::finished_below(const fs::path& model) {
  std::vector<std::int64_t> versions = versions_below(model);
  std::erase_if(versions, [&model](std::int64_t version) { return is_there(mark_of(model, version)); });
  return versions;
}

Registry::Found Registry::scan(Failures& failures) const {
  Found found;
  if (root_.only().empty()) {
    scan_folder(root_.folder(), found, failures);
  } else {
    found[root_.only()] = root_.versions_of(root_.only());
  }
  if (std::error_code ignored; fs::is_directory(second_, ignored)) scan_folder(second_, found, failures);
  return found;
}

std::vector<std::int64_t> Registry::versions_on_disk(const std::string& name) const {
  std::vector<std::int64_t> versions;
  try {
    add_versions(versions, root_.versions_of(name));
    if (is_model_name(name) && !second_.empty()) add_versions(versions, versions_below(second_ / name));
  } catch (const fs::filesystem_error& error) {
    throw IoError(
        fmt::format("models folder {}: {}; make it readable", error.path1().string(), error.code().message()));
  }
  return versions;
}

std::vector<std::int64_t> Registry::versions_of(const std::string& name) const {
  if (root_.empty()) throw ValueError("models: this server has no folder of models to load from");
  std::vector<std::int64_t> versions = versions_on_disk(name);
  if (versions.empty()) throw_unknown(name);
  return versions;
}

// The highest version that is not on its way; 0: none.
std::int64_t Registry::highest_kept(const std::string& name, const std::vector<std::int64_t>& versions) const {
  const auto kept = [&](std::int64_t version) {
    return !is_there(mark_of(folder_of(name, version).parent_path(), version));
  };
  const auto found = std::find_if(versions.rbegin(), versions.rend(), kept);
  return found == versions.rend() ? 0 : *found;
}

// Computes once, so that all weights are in memory before the first request, and a broken model receives none.
Registry::Handle Registry::read_folder(const fs::path& folder) const {
  check_manifest(folder);
  Handle model = loader_(folder);
  if (!model) throw DataError(fmt::format("{}: the loader gave no model", folder.string()));
  try {
    model->try_out();
  } catch (const DataError& error) { throw DataError(fmt::format("{}: {}", folder.string(), error.what())); }
  return model;
}

// What cannot be read may be readable later; all else is damaged, or no model.
void Registry::check(const fs::path& folder) const {
  try {
    read_folder(folder);
  } catch (const IoError& error) { throw UnreadableVersion(error.what()); } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) { throw DamagedVersion(error.what()); }
}

Registry::Handle Registry::read(const std::string& name, std::int64_t version) const {
  Handle model = read_folder(folder_of(name, version));
  log_line("info", "model_loaded", {{"model", name}, {"version", version}, {"task", model->task()}});
  return model;
}

fs::path Registry::folder_of(const std::string& name, std::int64_t version) const {
  if (root_.empty() || !is_model_name(name)) return {};
  const fs::path first = root_.version_folder(name, version), second = second_ / name / std::to_string(version);
  return second_.empty() || is_there(first) || !is_there(second) ? first : second;
}

ModelLimits Registry::limits_of(const std::string& name) const {
  if (root_.empty()) return {};
  const fs::path first = root_.model_folder(name) / ModelLimits::kFile;
  return ModelLimits::read(second_.empty() || is_there(first) ? first : second_ / name / ModelLimits::kFile);
}

Registry::Loaded Registry::read_or_note(const std::string& name, std::int64_t version) {
  const auto note = [&](const std::exception& error) {
    const Failure failure = noted(name, version, error.what());
    const std::lock_guard lock(mutex_);
    now_.failures.insert_or_assign(name, failure);
    return failure.text();
  };
  try {
    const ModelLimits limits = limits_of(name);  // before the log says that the version is loaded
    return {read(name, version), limits};
  } catch (const IoError& error) { throw UnreadableVersion(note(error)); } catch (const fs::filesystem_error& error) {
    throw UnreadableVersion(note(error));
  } catch (const std::bad_alloc& error) {
    note(error);
    throw;
  } catch (const std::exception& error) { throw DamagedVersion(note(error)); }
}

Registry::Failure Registry::noted(const std::string& name, std::int64_t version, const char* why) {
  if (version == 0 || !is_model_name(name)) {
    log_line("error", "folder_not_served", {{"folder", name}, {"error", why}});
  } else {
    log_line("error", "model_not_loaded", {{"model", name}, {"version", version}, {"error", why}});
  }
  return {version, why};
}

std::string Registry::Failure::text() const { return version == 0 ? why : fmt::format("version {}: {}", version, why); }

std::int64_t Registry::seconds_now() {
  using std::chrono::system_clock, std::chrono::seconds;
  return std::chrono::duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
}

void Registry::install(const std::string& name, const std::vector<std::int64_t>& versions, std::int64_t version,
                       Loaded loaded) {
  const std::lock_guard lock(mutex_);
  Model& model = now_.models[name];
  if (model.version != 0 && model.version != version) model.previous = model.version;
  model.name = name;
  model.version = version;
  model.versions = versions;
  // The replaced model is freed with `loaded`, after the lock, so that lookups do not wait for it.
  model.serve(std::exchange(loaded.model, std::move(model.served)));
  model.limits = loaded.limits;
  model.loaded = seconds_now();
  now_.failures.erase(name);
  const auto pin = now_.pinned.find({name, version});
  if (pin != now_.pinned.end()) pin->second = model.served;
}

// Writes the files before memory changes, so that an acknowledged change is durable.
void Registry::commit(const std::function<void(RegistryState&)>& change) {
  RegistryState next = now_.state;
  if (root_.empty()) {
    change(next);
  } else {
    next = choices_.change(change);
  }
  const std::lock_guard lock(mutex_);
  now_.state = std::move(next);
}

Model Registry::choose(const std::string& name, std::int64_t version, Replacing replacing) {
  const std::vector<std::int64_t> versions = versions_of(name);
  if (version == 0 && (version = highest_kept(name, versions)) == 0) {
    throw IndexError(fmt::format("{}: its only versions, {}, are not finished yet; try again later", name,
                                 fmt::join(versions, ", ")));
  }
  if (!std::ranges::binary_search(versions, version)) {
    throw IndexError(fmt::format("{}: no version {}; there are {}", name, version, fmt::join(versions, ", ")));
  }
  if (now_.state.aliases.contains(name)) {
    throw ValueError(fmt::format("{}: an alias has this name; delete that, or rename the model's folder", name));
  }
  Loaded loaded = read_or_note(name, version);
  const auto served = now_.models.find(name);
  const std::int64_t before = served == now_.models.end() ? 0 : served->second.version;
  const std::int64_t previous = before == 0 ? 0 : before == version ? served->second.previous : before;
  if (before != 0) {
    try {
      require_same_labels(version, *loaded.model, before, *served->second.served);
    } catch (const OtherLabels& error) {
      if (replacing == Replacing::kSameLabels) {
        throw OtherLabels(fmt::format("{}: version {} {}", name, version, error.what()));
      }
      log_line("warning", "labels_changed", {{"model", name}, {"version", version}, {"before", before}});
    }
  }
  commit([&](RegistryState& next) {
    next.models[name] = {version, previous, versions.back()};
    const auto trial = next.trials.find(name);
    if (trial == next.trials.end()) return;
    const auto candidate = now_.pinned.find({name, trial->second.version});
    const bool other = candidate != now_.pinned.end() && !candidate->second->can_replace(*loaded.model);
    if (other || trial->second.version == version) next.trials.erase(trial);
  });
  install(name, versions, version, std::move(loaded));
  drop_unused_pins();
  return *find(name);
}

Model Registry::load(const std::string& name, std::int64_t version, Replacing replacing) {
  const std::lock_guard changing(changing_);
  return choose(name, version, replacing);
}

Model Registry::rollback(const std::string& name) {
  const std::lock_guard changing(changing_);
  const auto served = now_.models.find(name);
  if (served == now_.models.end()) throw_unknown(name);
  if (served->second.previous == 0) {
    throw ValueError(fmt::format("{}: no version answered before version {}", name, served->second.version));
  }
  return choose(name, served->second.previous, Replacing::kAnyLabels);
}

void Registry::unload(const std::string& name) {
  const std::lock_guard changing(changing_);
  const auto served = now_.models.find(name);
  if (served == now_.models.end()) throw_unknown(name);
  const std::int64_t highest = served->second.versions.back();
  drop(name, [highest](Choice& choice) { choice = {0, 0, highest}; });
}

void Registry::forget(const std::string& name) {
  const std::lock_guard changing(changing_);
  drop(name, {});
}

// `note` changes the model's choice; without it, the choice goes too.
void Registry::drop(const std::string& name, const std::function<void(Choice&)>& note) {
  commit([&](RegistryState& next) {
    const auto names_it = [&](const auto& alias) { return alias.second.model == name; };
    if (const auto alias = std::ranges::find_if(next.aliases, names_it); alias != next.aliases.end()) {
      throw ValueError(
          fmt::format("{}: the alias '{}' stands for it; delete or change that first", name, alias->first));
    }
    note ? note(next.models[name]) : void(next.models.erase(name));
    next.trials.erase(name);
  });
  log_line("info", "model_unloaded", {{"model", name}});
  decltype(now_.models)::node_type gone;  // freed after the lock
  {
    const std::lock_guard lock(mutex_);
    gone = now_.models.extract(name);
    now_.failures.erase(name);
  }
  drop_unused_pins();
}

void Registry::add(const std::string& name, std::int64_t version, std::shared_ptr<const nn::TaskModel> model) {
  if (!is_model_name(name)) {
    throw ValueError(
        fmt::format("Registry::add: model name '{}'; use 1 to 128 of A-Z a-z 0-9 . _ -, "
                    "the first not a dot",
                    name));
  }
  if (version <= 0) {
    throw ValueError(fmt::format("Registry::add: version {} of {}; versions start at 1", version, name));
  }
  if (!model) throw ValueError(fmt::format("Registry::add: null model for {}; load one first", name));
  if (const auto* classifier = dynamic_cast<const nn::TextClassifier*>(model.get());
      classifier != nullptr && !classifier->embeds()) {
    nn::check_label_names(classifier->labels());
  }
  const std::lock_guard changing(changing_);
  install(name, {version}, version, {std::move(model), {}});
}

std::optional<Model> Registry::find(std::string_view name, std::int64_t version) const {
  const std::lock_guard lock(mutex_);
  auto found = now_.models.find(name);
  if (found == now_.models.end()) {
    const auto alias = now_.state.aliases.find(name);
    if (alias == now_.state.aliases.end()) return std::nullopt;
    if (version == 0) version = alias->second.version;
    found = now_.models.find(alias->second.model);
    if (found == now_.models.end()) return std::nullopt;
  }
  Model model = found->second;
  if (const auto failed = now_.failures.find(model.name); failed != now_.failures.end())
    model.error = failed->second.text();
  if (version == 0) {
    const auto trial = now_.state.trials.find(model.name);
    const auto candidate =
        trial == now_.state.trials.end() ? now_.pinned.end() : now_.pinned.find({model.name, trial->second.version});
    if (candidate != now_.pinned.end() && trial->second.version != model.version) {
      model.trial = trial->second;
      model.candidate = candidate->second;
    }
  }
  if (version == 0 || version == model.version) return model;
  const auto pin = now_.pinned.find({model.name, version});
  if (pin == now_.pinned.end()) return std::nullopt;
  model.version = version;
  model.serve(pin->second);
  return model;
}

std::vector<Model> Registry::list() const {
  std::vector<std::string> names;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, model] : now_.models) names.push_back(name);
  }
  std::vector<Model> all;
  all.reserve(names.size());
  for (const std::string& name : names) {
    if (std::optional<Model> model = find(name)) all.push_back(std::move(*model));
  }
  return all;
}

std::string Registry::failure(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = now_.failures.find(name);
  return found == now_.failures.end() ? std::string() : found->second.text();
}

bool Registry::ready() const {
  const std::lock_guard lock(mutex_);
  return !now_.models.empty();
}

}  // namespace qing::serve
