// The part of the registry that keeps further versions beside those that answer: aliases and trials.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/monitoring/log.h>
#include <qing/serve/registry/registry.h>
#include <qing/tensor/errors.h>

namespace qing::serve {

void Registry::throw_unknown(std::string_view name) {
  throw IndexError(fmt::format("models: none is served as '{}'; GET /v1/models lists them", name));
}

// The version, which may be the one that answers, or kept already.
Registry::Classifier Registry::read_version(const Model& served, std::int64_t version) {
  if (version == served.version) return served.classifier;
  if (!std::ranges::binary_search(versions_of(served.name), version)) {
    throw IndexError(fmt::format("{}: no version {}", served.name, version));
  }
  return read_or_note(served.name, version, false).classifier;
}

void Registry::set_alias(const std::string& alias, const Alias& target) {
  const std::lock_guard changing(changing_);
  const auto served = models_.find(target.model);
  if (!valid_name(alias)) {
    throw ValueError("alias: use 1 to 128 of A-Z a-z 0-9 . _ -, the first not a dot");
  }
  if (models_.contains(alias)) throw ValueError(fmt::format("alias '{}': a model has this name; take another", alias));
  if (served == models_.end()) throw_unknown(target.model);
  Classifier classifier = target.version == 0 ? nullptr : read_version(served->second, target.version);
  RegistryState next = state_;
  next.aliases[alias] = target;
  commit(std::move(next));
  const std::lock_guard lock(mutex_);
  if (classifier) pinned_[{target.model, target.version}] = std::move(classifier);
  drop_unused_pins();
}

void Registry::remove_alias(const std::string& alias) {
  const std::lock_guard changing(changing_);
  RegistryState next = state_;
  if (next.aliases.erase(alias) == 0) throw IndexError("alias: there is none of this name");
  commit(std::move(next));
  const std::lock_guard lock(mutex_);
  drop_unused_pins();
}

Model Registry::set_trial(const std::string& name, const Trial& trial) {
  const std::lock_guard changing(changing_);
  const auto served = models_.find(name);
  if (served == models_.end()) throw_unknown(name);
  if (!(trial.share > 0 && trial.share <= 1)) {
    throw ValueError(fmt::format("share: {} is not above 0 and at most 1", trial.share));
  }
  if (trial.version == served->second.version) {
    throw ValueError(fmt::format("{}: version {} is the one that answers; try another", name, trial.version));
  }
  Classifier classifier = read_version(served->second, trial.version);
  if (classifier->labels() != served->second.classifier->labels()) {
    throw ValueError(fmt::format("{}: version {} has other labels than version {}; it cannot stand in for it", name,
                                 trial.version, served->second.version));
  }
  RegistryState next = state_;
  next.trials[name] = trial;
  commit(std::move(next));
  {
    const std::lock_guard lock(mutex_);
    pinned_[{name, trial.version}] = std::move(classifier);
    drop_unused_pins();
  }
  return *find(name);
}

Model Registry::remove_trial(const std::string& name) {
  const std::lock_guard changing(changing_);
  RegistryState next = state_;
  if (next.trials.erase(name) == 0) throw IndexError("trial: no version of this model is on trial");
  commit(std::move(next));
  {
    const std::lock_guard lock(mutex_);
    drop_unused_pins();
  }
  return *find(name);
}

// A trial whose version cannot be loaded any more must not keep the server from starting.
void Registry::pin_trials(const RegistryState& state, const std::map<std::string, Model, std::less<>>& loaded,
                          std::map<std::pair<std::string, std::int64_t>, Classifier>& pinned) const {
  for (const auto& [name, trial] : state.trials) {
    if (!loaded.contains(name)) continue;
    try {
      pinned[{name, trial.version}] = read(name, trial.version);
    } catch (const std::exception& error) {
      log_line("error", "trial_not_loaded", {{"model", name}, {"version", trial.version}, {"error", error.what()}});
    }
  }
}

void Registry::drop_unused_pins() {
  std::erase_if(pinned_, [this](const auto& pin) {
    const auto& [name, version] = pin.first;
    const auto trial = state_.trials.find(name);
    if (trial != state_.trials.end() && trial->second.version == version) return false;
    return std::ranges::none_of(state_.aliases, [&name = name, version = version](const auto& alias) {
      return alias.second.model == name && alias.second.version == version;
    });
  });
}

std::map<std::string, Alias, std::less<>> Registry::aliases() const {
  const std::lock_guard lock(mutex_);
  return state_.aliases;
}

}  // namespace qing::serve
