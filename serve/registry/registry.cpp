#include "registry.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/monitoring/log.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

std::vector<std::int64_t> versions_below(const fs::path& folder) {
  std::vector<std::int64_t> versions;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const auto version = Registry::parse_version(entry.path().filename().string());
    if (version && entry.is_directory()) versions.push_back(*version);
  }
  std::sort(versions.begin(), versions.end());
  return versions;
}

// Touches every weight, so that neither a first request waits for that nor a broken model gets one.
void warm_up(const nn::TextClassifier& classifier, const fs::path& folder) {
  const std::string text = "warm-up 热身";
  const std::vector<nn::Prediction> predictions = classifier.predict(std::span(&text, 1));
  const bool whole = predictions.size() == 1 && predictions.front().scores.size() == classifier.labels().size() &&
                     std::ranges::all_of(predictions.front().scores, [](float score) { return std::isfinite(score); });
  if (!whole) {
    throw DataError(fmt::format("{}: its first prediction lacks a finite score for each label; check the weights",
                                folder.string()));
  }
}

std::int64_t wanted(const std::vector<std::int64_t>& versions, const Choice* choice) {
  return choice == nullptr || versions.back() > choice->highest ? versions.back() : choice->version;
}

const Choice* choice_of(const RegistryState& state, const std::string& name) {
  const auto found = state.models.find(name);
  return found == state.models.end() ? nullptr : &found->second;
}

}  // namespace

std::optional<std::int64_t> Registry::parse_version(std::string_view text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value <= 0 || text.front() == '0') return std::nullopt;
  return value;
}

Registry::Registry(fs::path root, Loader loader) : root_(std::move(root)), loader_(std::move(loader)) {}

bool Registry::valid_name(std::string_view name) {
  if (name.empty() || name.size() > 128 || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

// Models with at least a version.
Registry::Found Registry::scan() const {
  Found found;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(root_)) {
      const std::string name = entry.path().filename().string();
      if (!entry.is_directory() || !valid_name(name)) continue;
      std::vector<std::int64_t> versions = versions_below(entry.path());
      if (!versions.empty()) found.emplace(name, std::move(versions));
    }
  } catch (const fs::filesystem_error& error) {
    throw IoError(fmt::format("models folder {}: {}; give a readable folder that holds <name>/<version number>/",
                              root_.string(), error.code().message()));
  }
  return found;
}

std::vector<std::int64_t> Registry::versions_of(const std::string& name) const {
  if (root_.empty()) throw ValueError("models: this server has no folder of models to load from");
  const Found all = valid_name(name) ? scan() : Found();
  const auto found = all.find(name);
  if (found == all.end()) throw IndexError("models: the models' folder holds no version of a model of this name");
  return found->second;
}

Registry::Classifier Registry::read(const std::string& name, std::int64_t version) const {
  const fs::path folder = root_ / name / std::to_string(version);
  Classifier classifier = loader_(folder);
  if (!classifier) throw DataError(fmt::format("{}: the loader gave no model", folder.string()));
  warm_up(*classifier, folder);
  log_line("info", "model_loaded", {{"model", name}, {"version", version}});
  return classifier;
}

ModelLimits Registry::limits_of(const std::string& name) const {
  return root_.empty() ? ModelLimits() : ModelLimits::read(root_ / name / ModelLimits::kFile);
}

Registry::Loaded Registry::read_or_note(const std::string& name, std::int64_t version, bool known) {
  try {
    return {known ? nullptr : read(name, version), limits_of(name)};
  } catch (const std::exception& error) {
    log_line("error", "model_not_loaded", {{"model", name}, {"version", version}, {"error", error.what()}});
    const std::lock_guard lock(mutex_);
    const std::string why = fmt::format("version {}: {}", version, error.what());
    failures_[name] = why;
    throw DataError(why);
  }
}

// A version that has come since the last choice must not keep the chosen one, which is known to be good, from serving.
Model Registry::read_first(const std::string& name, const std::vector<std::int64_t>& versions,
                           const RegistryState& state,
                           std::map<std::string, std::string, std::less<>>& failures) const {
  const Choice* choice = choice_of(state, name);
  const std::int64_t version = wanted(versions, choice);
  const bool newer = choice != nullptr && version != choice->version;
  try {
    return {name, version, versions, read(name, version),
            choice == nullptr ? 0 : newer ? choice->version : choice->previous, {}, {}, limits_of(name)};
  } catch (const std::exception& error) {
    if (!newer) throw;
    log_line("error", "model_not_loaded", {{"model", name}, {"version", version}, {"error", error.what()}});
    failures[name] = fmt::format("version {}: {}", version, error.what());
    return {name, choice->version, versions, read(name, choice->version), choice->previous, {}, {}, limits_of(name)};
  }
}

void Registry::load() {
  const std::lock_guard changing(changing_);
  const Found found = scan();
  if (found.empty()) {
    throw DataError(fmt::format("models folder {}: no model in it; one lies in <name>/<version number>/, such as {}",
                                root_.string(), (root_ / "emotion_analysis" / "1").string()));
  }
  RegistryState state = RegistryState::read(root_ / kStateFile);
  std::map<std::string, Model, std::less<>> loaded;
  std::map<std::string, std::string, std::less<>> failures;
  for (const auto& [name, versions] : found) {
    const Choice* choice = choice_of(state, name);
    if (choice != nullptr && choice->version == 0) continue;
    loaded.emplace(name, read_first(name, versions, state, failures));
  }
  std::map<std::pair<std::string, std::int64_t>, Classifier> pinned;
  for (const auto& [alias, target] : state.aliases) {
    const auto model = loaded.find(target.model);
    if (target.version == 0 || model == loaded.end()) continue;
    const bool answers = model->second.version == target.version;
    pinned[{target.model, target.version}] = answers ? model->second.classifier : read(target.model, target.version);
  }
  pin_trials(state, loaded, pinned);
  const std::lock_guard lock(mutex_);
  models_.swap(loaded);
  pinned_.swap(pinned);
  failures_.swap(failures);
  state_ = std::move(state);
}

void Registry::rescan() {
  const std::lock_guard changing(changing_);
  if (root_.empty()) return;
  for (const auto& [name, versions] : scan()) {
    const Choice* choice = choice_of(state_, name);
    if (choice != nullptr && choice->version == 0) continue;
    const auto served = models_.find(name);
    const std::int64_t version = wanted(versions, choice);
    try {
      const bool known = served != models_.end() && served->second.version >= version;
      install(name, versions, known ? served->second.version : version, read_or_note(name, version, known));
    } catch (const std::exception&) {
      continue;  // noted; what was served still is
    }
  }
}

void Registry::install(const std::string& name, const std::vector<std::int64_t>& versions, std::int64_t version,
                       const Loaded& loaded) {
  const std::lock_guard lock(mutex_);
  Model& model = models_[name];
  if (model.version != 0 && model.version != version) model.previous = model.version;
  model.name = name;
  model.version = version;
  model.versions = versions;
  if (loaded.classifier) model.classifier = loaded.classifier;
  model.limits = loaded.limits;
  failures_.erase(name);
  const auto pin = pinned_.find({name, version});
  if (pin != pinned_.end()) pin->second = model.classifier;
}

// The file first: what is acknowledged is durable.
void Registry::commit(RegistryState next) {
  if (!root_.empty()) next.write(root_ / kStateFile);
  const std::lock_guard lock(mutex_);
  state_ = std::move(next);
}

Model Registry::choose(const std::string& name, std::int64_t version) {
  const std::vector<std::int64_t> versions = versions_of(name);
  if (version == 0) version = versions.back();
  if (!std::ranges::binary_search(versions, version)) {
    throw IndexError(fmt::format("{}: no version {}; there are {}", name, version, fmt::join(versions, ", ")));
  }
  const Loaded loaded = read_or_note(name, version, false);
  const auto served = models_.find(name);
  const std::int64_t before = served == models_.end() ? 0 : served->second.version;
  const std::int64_t previous = before == 0 ? 0 : before == version ? served->second.previous : before;
  RegistryState next = state_;
  next.models[name] = {version, previous, versions.back()};
  if (const auto trial = next.trials.find(name); trial != next.trials.end() && trial->second.version == version) {
    next.trials.erase(trial);
  }
  commit(std::move(next));
  install(name, versions, version, loaded);
  {
    const std::lock_guard lock(mutex_);
    drop_unused_pins();
  }
  return *find(name);
}

Model Registry::load(const std::string& name, std::int64_t version) {
  const std::lock_guard changing(changing_);
  return choose(name, version);
}

Model Registry::rollback(const std::string& name) {
  const std::lock_guard changing(changing_);
  const auto served = models_.find(name);
  if (served == models_.end()) throw_unknown(name);
  if (served->second.previous == 0) {
    throw ValueError(fmt::format("{}: no version answered before version {}", name, served->second.version));
  }
  return choose(name, served->second.previous);
}

void Registry::unload(const std::string& name) {
  const std::lock_guard changing(changing_);
  const auto served = models_.find(name);
  if (served == models_.end()) throw_unknown(name);
  const auto names_it = [&](const auto& alias) { return alias.second.model == name; };
  if (const auto alias = std::ranges::find_if(state_.aliases, names_it); alias != state_.aliases.end()) {
    throw ValueError(fmt::format("{}: the alias '{}' stands for it; delete or change that first", name, alias->first));
  }
  RegistryState next = state_;
  next.models[name] = {0, 0, served->second.versions.back()};
  next.trials.erase(name);
  commit(std::move(next));
  log_line("info", "model_unloaded", {{"model", name}});
  const std::lock_guard lock(mutex_);
  models_.erase(served);
  drop_unused_pins();
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
  const std::lock_guard changing(changing_);
  install(name, {version}, version, {std::move(classifier), {}});
}

std::optional<Model> Registry::find(std::string_view name, std::int64_t version) const {
  const std::lock_guard lock(mutex_);
  auto found = models_.find(name);
  if (found == models_.end()) {
    const auto alias = state_.aliases.find(name);
    if (alias == state_.aliases.end()) return std::nullopt;
    if (version == 0) version = alias->second.version;
    found = models_.find(alias->second.model);
    if (found == models_.end()) return std::nullopt;
  }
  Model model = found->second;
  if (const auto failed = failures_.find(model.name); failed != failures_.end()) model.error = failed->second;
  if (version == 0) {
    const auto trial = state_.trials.find(model.name);
    const auto candidate =
        trial == state_.trials.end() ? pinned_.end() : pinned_.find({model.name, trial->second.version});
    if (candidate != pinned_.end()) {
      model.trial = trial->second;
      model.candidate = candidate->second;
    }
  }
  if (version == 0 || version == model.version) return model;
  const auto pin = pinned_.find({model.name, version});
  if (pin == pinned_.end()) return std::nullopt;
  model.version = version;
  model.classifier = pin->second;
  return model;
}

std::vector<Model> Registry::list() const {
  std::vector<std::string> names;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, model] : models_) names.push_back(name);
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
  const auto found = failures_.find(name);
  return found == failures_.end() ? std::string() : found->second;
}

bool Registry::ready() const {
  const std::lock_guard lock(mutex_);
  return !models_.empty();
}

}  // namespace qing::serve
