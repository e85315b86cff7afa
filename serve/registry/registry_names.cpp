// The part of the registry that keeps further versions beside those that answer: aliases and trials.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/common/log.h>
#include <qing/serve/registry/registry.h>
#include <qing/tensor/errors.h>

namespace qing::serve {

// Only what could be a name is repeated: a request's path may hold any bytes.
void Registry::throw_unknown(std::string_view name) {
  const std::string quoted = is_model_name(name) ? fmt::format("as '{}'", name) : "under this name";
  throw IndexError(fmt::format("models: none is served {}; GET /v1/models lists them", quoted));
}

// The version, which may be the one that answers, or kept already.
Registry::Handle Registry::read_version(const Model& served, std::int64_t version) {
  if (version == served.version) return served.served;
  if (!std::ranges::binary_search(versions_of(served.name), version)) {
    throw IndexError(fmt::format("{}: no version {}", served.name, version));
  }
  return read_or_note(served.name, version).model;
}

void Registry::throw_taken(const std::string& alias) {
  throw ValueError(fmt::format("alias '{}': the name is in use; take another", alias));
}

void Registry::set_alias(const std::string& alias, const Alias& target, const MayChange& may_change) {
  const std::lock_guard changing(changing_);
  const auto served = now_.models.find(target.model);
  // This check comes first, so that the answer for an unknown model does not depend on whether the alias exists.
  if (served == now_.models.end()) throw_unknown(target.model);
  if (!is_model_name(alias)) { throw ValueError("alias: use 1 to 128 of A-Z a-z 0-9 . _ -, the first not a dot"); }
  if (now_.models.contains(alias)) throw_taken(alias);
  Handle model = target.version == 0 ? nullptr : read_version(served->second, target.version);
  commit([&](RegistryState& next) {
    // The check is inside the change, since another server may have set the alias.
    const auto [there, fresh] = next.aliases.try_emplace(alias, target);
    if (fresh) return;
    if (may_change && !may_change(there->second.model)) throw_taken(alias);
    there->second = target;
  });
  if (model) pin(target.model, target.version, std::move(model));
  drop_unused_pins();
}

void Registry::remove_alias(const std::string& alias, const MayChange& may_change) {
  const std::lock_guard changing(changing_);
  commit([&](RegistryState& next) {
    const auto there = next.aliases.find(alias);
    if (there == next.aliases.end() || (may_change && !may_change(there->second.model))) {
      throw IndexError("alias: there is none of this name");
    }
    next.aliases.erase(there);
  });
  drop_unused_pins();
}

Model Registry::set_trial(const std::string& name, const Trial& trial) {
  const std::lock_guard changing(changing_);
  const auto served = now_.models.find(name);
  if (served == now_.models.end()) throw_unknown(name);
  if (!(trial.share > 0 && trial.share <= 1)) {
    throw ValueError(fmt::format("share: {} is not above 0 and at most 1", trial.share));
  }
  if (trial.version == served->second.version) {
    throw ValueError(fmt::format("{}: version {} is the one that answers; try another", name, trial.version));
  }
  if (!served->second.can_try(trial)) {
    throw ValueError(
        fmt::format("{}: a shadow and a limit of the agreement compare labels of texts, and this model is "
                    "of the task {}; let the version answer a share of the callers",
                    name, served->second.served->task()));
  }
  Handle model = read_version(served->second, trial.version);
  if (!model->can_replace(*served->second.served)) {
    throw ValueError(fmt::format(
        "{}: version {} has other labels or directions than version {}, or other sizes; it cannot stand in for it",
        name, trial.version, served->second.version));
  }
  commit([&](RegistryState& next) {
    next.trials[name] = trial;
    // What answers now does so until somebody chooses, however new the folder on trial is.
    Choice& choice = next.models[name];
    choice = {served->second.version, served->second.previous,
              std::max({choice.highest, served->second.version, trial.version})};
  });
  pin(name, trial.version, std::move(model));
  drop_unused_pins();
  return *find(name);
}

std::optional<Trial> Registry::written_trial(const std::string& name) const {
  if (root_.empty()) return std::nullopt;
  const RegistryState state = choices_.read();
  const auto found = state.trials.find(name);
  return found == state.trials.end() ? std::nullopt : std::optional(found->second);
}

Model Registry::remove_trial(const std::string& name) {
  const std::lock_guard changing(changing_);
  commit([&](RegistryState& next) {
    if (next.trials.erase(name) == 0) throw IndexError("trial: no version of this model is on trial");
  });
  drop_unused_pins();
  const std::optional<Model> model = find(name);
  if (!model) throw_unknown(name);
  return *model;
}

void Registry::restore(const Model& before) {
  const std::lock_guard changing(changing_);
  commit([&](RegistryState& next) {
    next.models[before.name] = {before.version, before.previous, before.versions.back()};
    next.trials.erase(before.name);
    if (before.candidate) next.trials[before.name] = before.trial;
  });
  Model model = before;
  model.trial = {};
  model.candidate = nullptr;
  model.error.clear();
  {
    const std::lock_guard lock(mutex_);
    std::swap(now_.models[before.name], model);  // what it replaces is freed after the lock
  }
  if (before.candidate) pin(before.name, before.trial.version, before.candidate);
  drop_unused_pins();
}

void Registry::pin(const std::string& name, std::int64_t version, Handle model) {
  const std::lock_guard lock(mutex_);
  now_.pinned[{name, version}].swap(model);
  add_version(now_.models[name], version);
}

// The version's folder may be newer than the last look at all folders.
void Registry::add_version(Model& model, std::int64_t version) {
  const auto place = std::ranges::lower_bound(model.versions, version);
  if (place == model.versions.end() || *place != version) model.versions.insert(place, version);
}

void Registry::note_version(const std::string& name, std::int64_t version) {
  const std::lock_guard changing(changing_);
  const auto served = now_.models.find(name);
  if (served == now_.models.end()) throw_unknown(name);
  commit([&](RegistryState& next) {
    Choice& choice = next.models[name];
    choice = {served->second.version, served->second.previous,
              std::max({choice.highest, served->second.version, version})};
  });
  const std::lock_guard lock(mutex_);
  add_version(served->second, version);
}

void Registry::drop_unused_pins() {
  std::vector<Handle> dropped;  // freed after the lock
  const std::lock_guard lock(mutex_);
  std::erase_if(now_.pinned, [&](const auto& pin) {
    const auto& [name, version] = pin.first;
    const auto trial = now_.state.trials.find(name);
    if (trial != now_.state.trials.end() && trial->second.version == version) return false;
    const bool unused = std::ranges::none_of(now_.state.aliases, [&name = name, version = version](const auto& alias) {
      return alias.second.model == name && alias.second.version == version;
    });
    if (unused) dropped.push_back(pin.second);
    return unused;
  });
}

std::map<std::string, Alias, std::less<>> Registry::aliases() const {
  const std::lock_guard lock(mutex_);
  return now_.state.aliases;
}

}  // namespace qing::serve
